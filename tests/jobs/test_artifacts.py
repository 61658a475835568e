"""Artifacts: whole, by key, in a folder or an object store."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from jobs.artifacts import ArtifactStore, StorageAway, diagnostics_key, image_key, picture_key, prefix
from jobs.settings import Settings
from tests.s3 import environment, free_port, make_bucket, running_s3


@pytest.fixture(params=["folder", "memory", "s3"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    if request.param == "s3":
        make_bucket(request.getfixturevalue("s3"), "bucket")
    folder = Settings(data_dir=tmp_path / "with space").artifacts
    return ArtifactStore({"folder": folder, "memory": "memory:///", "s3": "s3://bucket/with/prefix"}[request.param])


def test_what_was_put_is_got(artifacts: ArtifactStore) -> None:
    artifacts.put(image_key("a", 1, 0), b"bytes")
    artifacts.put(image_key("a", 1, 0), b"other bytes")
    assert artifacts.get(image_key("a", 1, 0)) == b"other bytes"


def test_what_is_not_there_is_none(artifacts: ArtifactStore) -> None:
    assert artifacts.get(image_key("a", 1, 0)) is None


def test_one_generation_is_deleted_whole_and_alone(artifacts: ArtifactStore) -> None:
    kept = [image_key("ab", 1, 0), diagnostics_key("b", 1), picture_key("ab", 1, 0, "segments")]
    gone = [image_key("a", 1, 0), image_key("a", 2, 1, "webp"), diagnostics_key("a", 1), picture_key("a", 1, 0, "b")]
    for key in (*gone, *kept):
        artifacts.put(key, b"{}")
    artifacts.delete(prefix("a"))
    assert artifacts.get(image_key("a", 2, 1, "webp")) is None
    assert artifacts.get(diagnostics_key("a", 1)) is None
    assert artifacts.get(picture_key("a", 1, 0, "b")) is None
    assert [artifacts.get(key) for key in kept] == [b"{}"] * 3


def test_a_folder_holds_plain_files(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    ArtifactStore(settings.artifacts).put(image_key("a", 1, 3, "jpeg"), b"bytes")
    ArtifactStore(settings.artifacts).put(picture_key("a", 1, 3, "segments"), b"cells")
    assert (tmp_path / "artifacts/generations/a/1/images/3.jpeg").read_bytes() == b"bytes"
    assert (tmp_path / "artifacts/generations/a/1/diagnostics/3/segments.png").read_bytes() == b"cells"


def test_an_object_store_is_told_what_the_bytes_are(s3: int) -> None:
    make_bucket(s3, "bucket")
    artifacts = ArtifactStore("s3://bucket/prefix")
    artifacts.put(image_key("a", 1, 0, "webp"), b"bytes")
    link = artifacts.link(image_key("a", 1, 0, "webp"))
    assert link is not None
    answer = httpx.get(link, trust_env=False)
    assert (answer.content, answer.headers["Content-Type"]) == (b"bytes", "image/webp")
    assert httpx.get(link.partition("?")[0], trust_env=False).status_code == 403  # the link is what lets us in
    head = artifacts.link(image_key("a", 1, 0, "webp"), "HEAD")
    assert head is not None and httpx.head(head, trust_env=False).headers["Content-Length"] == "5"


def test_only_object_stores_give_links(tmp_path: Path) -> None:
    for url in ("memory:///", tmp_path.as_uri()):
        assert ArtifactStore(url).link(image_key("a", 1, 0)) is None


def refuses_everything(artifacts: ArtifactStore) -> None:
    uses = (
        partial(artifacts.put, image_key("a", 1, 0), b"bytes"),
        partial(artifacts.get, image_key("a", 1, 0)),
        partial(artifacts.delete, prefix("a")),
    )
    for use in uses:
        with pytest.raises(StorageAway) as told:
            use()
        assert "\n" not in str(told.value)


def test_a_bucket_that_is_not_there_is_not_an_empty_one(s3: int) -> None:
    refuses_everything(ArtifactStore("s3://nowhere/prefix"))


def test_a_store_that_does_not_answer_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(free_port()).items():
        monkeypatch.setenv(name, value)
    refuses_everything(ArtifactStore("s3://bucket", patience=0.01))


def test_a_folder_that_cannot_be_made_is_away(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refuses_everything(ArtifactStore((tmp_path / "file" / "folder").as_uri()))


def test_who_is_patient_stores_as_soon_as_the_store_answers(s3: int, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bucket(s3, "bucket")  # servers of one process have the same buckets
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as beside:
        port = silent.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        key, artifacts = image_key("a", 1, 0), ArtifactStore("s3://bucket", patience=60)
        done = beside.submit(artifacts.put, key, b"bytes")
        first, _ = silent.accept()
        first.close()  # the first try fails
        silent.close()
        with running_s3(port):
            done.result(60)
            assert artifacts.get(key) == b"bytes"


@pytest.mark.parametrize("id", ["../..", "x/../../..", "/etc", "..", "a/./b", "a//b"])
def test_no_key_leads_out_of_the_store(tmp_path: Path, id: str) -> None:
    (tmp_path / "diagnostics.json").write_text("not ours")
    artifacts = ArtifactStore((tmp_path / "artifacts").as_uri())
    for use in (artifacts.get, artifacts.delete, lambda key: artifacts.put(key, b"")):
        with pytest.raises(ValueError, match="path"):
            use(f"{prefix(id)}/diagnostics.json")
    assert (tmp_path / "diagnostics.json").read_text() == "not ours"
