"""`guidepost inspect`: from a file to its request, and from that to the same image again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cli.main import app
from guidance.picture import data_url, digest
from jobs.encoding import encode
from jobs.provenance import text
from jobs.request import GenerationRequest
from tests.cli.conftest import Up

run = CliRunner().invoke
SPEC = '{"schedule": {"type": "constant", "weight": 2.5}}'


def inspected(*arguments: str) -> dict[str, Any]:
    done = run(app, ["inspect", *arguments])
    assert done.exit_code == 0, done.output
    request: dict[str, Any] = json.loads(done.stdout)
    return request


def again(url: str, request: dict[str, Any], accept: str) -> bytes:
    """The one image of a request that is posted as it stands."""
    job = httpx.post(f"{url}/v1/generations", json=request, headers={"Prefer": "wait=60"}).json()
    [image] = job["images"]
    return httpx.get(url + image["url"], headers={"Accept": accept}).content


@pytest.mark.parametrize("name", ["ring.png", "ring.webp", "ring.jpg"])
def test_an_image_is_made_again_from_its_file(up: Up, tmp_path: Path, name: str) -> None:
    words = ["generate", "a green ring", "--n", "2", "--seed", "40", "--steps", "4", "--guidance", SPEC]
    done = run(app, [*words, "-o", str(tmp_path / name), "--url", up.url])
    assert done.exit_code == 0, done.output
    second = (tmp_path / name).with_stem("ring-1")
    request = inspected(str(second))
    assert (request["n"], request["seed"], request["prompt"]) == (1, 41, "a green ring")
    assert again(up.url, request, "image/*") == second.read_bytes()
    there = run(
        app, ["generate", "--request", "-", "-o", str(tmp_path / name), "--url", up.url], input=json.dumps(request)
    )
    assert there.exit_code == 0, there.output
    assert (tmp_path / name).read_bytes() == second.read_bytes()


def test_what_was_converted_still_says_it(up: Up, tmp_path: Path) -> None:
    job = {"model": "gaussians", "label": 1, "seed": 3, "sampler": {"type": "ddim", "steps": 4}}
    (tmp_path / "a.webp").write_bytes(again(up.url, job, "image/webp"))
    with Image.open(tmp_path / "a.webp") as found:
        assert found.format == "WEBP"
        before = np.asarray(found.convert("RGB"))
    (tmp_path / "b.png").write_bytes(again(up.url, inspected(str(tmp_path / "a.webp")), "image/png"))
    with Image.open(tmp_path / "b.png") as found:
        assert np.array_equal(np.asarray(found), before)


def with_source(folder: Path) -> tuple[Path, Path]:
    """An image that began from a picture, and that picture."""
    photo = folder / "photo.png"
    photo.write_bytes(encode(np.zeros((64, 64, 3), np.uint8), "png"))
    source = {"image": data_url(photo.read_bytes())}
    request = GenerationRequest.model_validate({"prompt": "a ring", "seed": 1, "source": source})
    image = folder / "image.png"
    image.write_bytes(encode(np.zeros((64, 64, 3), np.uint8), "png", text(request, 1)))
    return image, photo


def test_pictures_are_asked_for_by_their_hash_and_put_in(tmp_path: Path) -> None:
    image, photo = with_source(tmp_path)
    done = run(app, ["inspect", str(image)])
    sha256 = digest(data_url(photo.read_bytes())).removeprefix("sha256:")
    assert json.loads(done.stdout)["source"]["image"] == f"sha256:{sha256}"
    assert "'/source/image'" in done.stderr and sha256 in done.stderr
    whole = inspected(str(image), "--picture", str(photo))
    assert whole["source"]["image"] == data_url(photo.read_bytes())


def test_each_file_is_a_line_and_the_bad_ones_are_told(tmp_path: Path) -> None:
    image, _ = with_source(tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    bare = tmp_path / "bare.png"
    bare.write_bytes(encode(np.zeros((4, 4, 3), np.uint8), "png"))
    done = run(
        app, ["inspect", *map(str, (image, tmp_path / "notes.txt", bare, tmp_path / "none.png", tmp_path, image))]
    )
    assert done.exit_code == 1
    assert [json.loads(line)["prompt"] for line in done.stdout.splitlines()] == ["a ring", "a ring"]
    for told in ("notes.txt is no PNG", "bare.png does not say", "none.png cannot be read", "Is a directory"):
        assert told in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "arguments", [[], ["a ring", "--request", "r.json"], ["--request", "none.json"], ["--request", "list.json"]]
)
def test_generate_takes_a_prompt_or_one_whole_request(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.json").write_text("[]")
    done = run(app, ["generate", *arguments])
    assert done.exit_code == 2
    assert "--request" in done.output


def test_options_replace_what_the_request_says(up: Up, tmp_path: Path) -> None:
    request = {
        "model": "gaussians",
        "label": 1,
        "seed": 3,
        "sampler": {"type": "ddim", "steps": 4},
        "output": {"format": "webp"},
    }
    (tmp_path / "r.json").write_text(json.dumps(request))
    image = tmp_path / "image.jpg"
    done = run(
        app, ["generate", "--request", str(tmp_path / "r.json"), "--seed", "9", "-o", str(image), "--url", up.url]
    )
    assert done.exit_code == 0, done.output
    found = inspected(str(image))
    assert (found["seed"], found["output"], found["label"]) == (9, {"format": "jpeg"}, 1)
