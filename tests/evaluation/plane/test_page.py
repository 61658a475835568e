"""docs/plane.md shows every picture with the numbers that were written beside it; drawn again, they are the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.plane import push
from evaluation.plane.__main__ import FOLDER, PAGE, PICTURES, main
from evaluation.plane.picture import filled

LARGEST = 300_000
"""Bytes of a picture."""


@pytest.mark.parametrize("name", PICTURES)
def test_the_page_has_the_picture_and_its_numbers(name: str) -> None:
    page, numbers = PAGE.read_text(), json.loads((FOLDER / f"{name}.json").read_text())
    assert f"(pictures/plane/{name}.png)" in page and (FOLDER / f"{name}.png").stat().st_size < LARGEST
    assert filled(page, name, numbers) == page


def test_drawn_again_it_has_the_same_bytes(tmp_path: Path) -> None:
    for folder in (tmp_path / "a", tmp_path / "b"):
        push.picture().save(folder, "push")
    assert [path.name for path in sorted((tmp_path / "a").iterdir())] == ["push.json", "push.png"]
    assert all(path.read_bytes() == (tmp_path / "b" / path.name).read_bytes() for path in (tmp_path / "a").iterdir())
    committed = json.loads((FOLDER / "push.json").read_text())
    assert json.loads((tmp_path / "a" / "push.json").read_text()) == committed


def test_a_picture_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["spiral"])
    assert "'spiral' is no picture; there are three_gaussians, drift" in capsys.readouterr().err


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="no markers for the numbers of 'drift'"):
        filled("# A page", "drift", {"columns": [], "rows": []})
