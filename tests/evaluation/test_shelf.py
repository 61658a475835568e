"""The shelf: whole files or none, made once, made again when damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.shelf import Shelf, digest


def test_what_was_put_is_there_whole(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert not shelf.has("a", "key")
    shelf.put("a", "key", {"x": np.arange(3)})
    assert shelf.has("a", "key")
    np.testing.assert_array_equal(shelf.get("a", "key")["x"], [0, 1, 2])  # type: ignore[index]
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".npz"]


def test_it_is_made_once(tmp_path: Path) -> None:
    made = list[int]()

    def make() -> dict[str, np.ndarray]:
        made.append(1)
        return {"x": np.ones(2)}

    for _ in range(2):
        Shelf(tmp_path).kept("a", ["b", 1], make)
    assert made == [1]


@pytest.mark.parametrize("length", [0, 10, 200])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, length: int) -> None:
    shelf = Shelf(tmp_path)
    shelf.put("a", "key", {"x": np.arange(1000)})
    path = shelf.path("a", "key")
    path.write_bytes(path.read_bytes()[:length])
    assert not shelf.has("a", "key")
    assert shelf.get("a", "key") is None


def test_a_digest_tells_parts_apart() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest(np.zeros(4)) != digest(np.zeros((2, 2)))
    assert digest(np.zeros(4)) != digest(np.zeros(4, np.float32))
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
