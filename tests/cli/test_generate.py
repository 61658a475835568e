"""`guidepost generate`: its options, a run through the service and one without."""

import io
import json
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from cli.generate import image_format, places, read_guidance, read_sampler
from cli.main import app
from tests.cli.conftest import Up

run = CliRunner().invoke


def test_guidance_is_json_a_file_or_a_preset(tmp_path: Path) -> None:
    spec = {"schedule": {"type": "constant", "weight": 2}}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    assert read_guidance(json.dumps(spec)) == read_guidance(f"@{tmp_path / 'spec.json'}") == spec
    assert read_guidance("cfg_fixed") == {"preset": "cfg_fixed"}
    assert read_guidance(None) is None


def test_sampler_is_a_name_or_json_and_steps_may_be_apart() -> None:
    assert read_sampler("euler", None) == {"type": "euler"}
    assert read_sampler('{"type": "ddim", "eta": 1}', 9) == {"type": "ddim", "eta": 1, "steps": 9}
    assert read_sampler(None, 9) == {"type": "ddim", "steps": 9}
    assert read_sampler(None, None) is None


@pytest.mark.parametrize("text", ["{", "{]"])
def test_broken_json_names_the_option(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        read_guidance(text)


def test_the_format_follows_the_file_name() -> None:
    assert [image_format(Path(name)) for name in ("a.png", "a.webp", "a.JPG")] == ["png", "webp", "jpeg"]
    with pytest.raises(typer.BadParameter):
        image_format(Path("a.gif"))


def test_several_images_are_numbered() -> None:
    assert places(Path("out/a.png"), 2) == [Path("out/a-0.png"), Path("out/a-1.png")]


def generate(folder: Path, *options: str) -> Path:
    """One image of the analytic model; the file it was written to."""
    path = folder / "image.png"
    arguments = ["generate", "1", "--model", "gaussians", "--seed", "5", "--steps", "6", "-o", str(path), *options]
    done = run(app, arguments)
    assert done.exit_code == 0, done.output
    assert "seed 5" in done.output
    return path


def test_an_image_and_its_diagnostics_come_through_the_service(up: Up, tmp_path: Path) -> None:
    path = generate(tmp_path, "--url", up.url, "--diagnostics", str(tmp_path / "steps.json"))
    assert Image.open(io.BytesIO(path.read_bytes())).format == "PNG"
    steps = json.loads((tmp_path / "steps.json").read_text())["images"][0]["columns"]
    assert len(steps["weight"]) == 6


def test_without_a_service_the_same_image_comes_from_this_process(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.run.DEFAULT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GUIDEPOST_MODELS", "gaussians")
    (tmp_path / "there").mkdir()
    here, there = generate(tmp_path), generate(tmp_path / "there", "--url", up.url)
    assert here.read_bytes() == there.read_bytes()


def test_pictures_of_what_a_method_saw_are_written_beside_the_diagnostics(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the service and of this process are the same bytes."""
    monkeypatch.setattr("cli.run.DEFAULT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GUIDEPOST_MODELS", "shapes")
    words = ["generate", "a red star", "--guidance", "s_cfg", "--seed", "3", "--steps", "4"]
    folders = {tmp_path / "there": ["--url", up.url], tmp_path / "here": []}
    for folder, where in folders.items():
        files = ["-o", str(folder / "star.png"), "--diagnostics", str(folder / "steps.json")]
        done = run(app, [*words, *files, *where])
        assert done.exit_code == 0, done.output
        assert str(folder / "steps-0-segments.png") in done.output
    for name in ("star.png", "steps-0-segments.png", "steps-0-weight_factor.png"):
        there, here = ((folder / name).read_bytes() for folder in folders)
        assert Image.open(io.BytesIO(there)).format == "PNG"
        assert there == here
    [image] = json.loads((tmp_path / "there" / "steps.json").read_text())["images"]
    assert [(one["name"], one["steps"]) for one in image["pictures"]] == [
        ("segments", [0, 1, 2, 3]),
        ("weight_factor", [0, 1, 2, 3]),
    ]


def test_a_refused_request_is_told_in_lines(up: Up, tmp_path: Path) -> None:
    spec = '{"schedule": {"type": "constant", "wieght": 2}}'
    done = run(app, ["generate", "1", "--model", "gaussians", "--guidance", spec, "--url", up.url])
    assert done.exit_code == 1
    assert "/guidance/schedule" in done.output
    assert "wieght" in done.output
    assert "Traceback" not in done.output


def test_a_service_that_was_named_must_answer() -> None:
    done = run(app, ["generate", "1", "--url", "http://127.0.0.1:9"])
    assert done.exit_code == 1
    assert "does not answer" in done.output
