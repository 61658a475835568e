"""Artifacts: whole, by key, in a folder or an object store."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.artifacts import ArtifactStore, diagnostics_key, image_key, picture_key, prefix
from jobs.settings import Settings


@pytest.fixture(params=["folder", "memory"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    folder = Settings(data_dir=tmp_path / "with space").artifacts
    return ArtifactStore("memory:///" if request.param == "memory" else folder)


def test_what_was_put_is_got(artifacts: ArtifactStore) -> None:
    artifacts.put(image_key("a", 0), b"bytes")
    artifacts.put(image_key("a", 0), b"other bytes")
    assert artifacts.get(image_key("a", 0)) == b"other bytes"


def test_what_is_not_there_is_none(artifacts: ArtifactStore) -> None:
    assert artifacts.get(image_key("a", 0)) is None


def test_one_generation_is_deleted_whole_and_alone(artifacts: ArtifactStore) -> None:
    kept = [image_key("ab", 0), diagnostics_key("b"), picture_key("ab", 0, "segments")]
    for key in (image_key("a", 0), image_key("a", 1, "webp"), diagnostics_key("a"), picture_key("a", 0, "b"), *kept):
        artifacts.put(key, b"{}")
    artifacts.delete(prefix("a"))
    assert artifacts.get(image_key("a", 1, "webp")) is None
    assert artifacts.get(diagnostics_key("a")) is None
    assert artifacts.get(picture_key("a", 0, "b")) is None
    assert [artifacts.get(key) for key in kept] == [b"{}"] * 3


def test_a_folder_holds_plain_files(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    ArtifactStore(settings.artifacts).put(image_key("a", 3, "jpeg"), b"bytes")
    ArtifactStore(settings.artifacts).put(picture_key("a", 3, "segments"), b"cells")
    assert (tmp_path / "artifacts/generations/a/images/3.jpeg").read_bytes() == b"bytes"
    assert (tmp_path / "artifacts/generations/a/diagnostics/3/segments.png").read_bytes() == b"cells"
