"""A digest of code: what it says counts, what it says of itself does not."""

from __future__ import annotations

from pathlib import Path

import pytest

import evaluation.source
from evaluation.source import code_digest


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """guidance/one.py of a project of its own."""
    monkeypatch.setattr(evaluation.source, "ROOT", tmp_path)
    (tmp_path / "guidance").mkdir()
    return tmp_path / "guidance" / "one.py"


def digest(module: Path, text: str) -> str:
    module.write_text(text)
    evaluation.source._parsed.cache_clear()
    evaluation.source._file.cache_clear()
    found = code_digest(["guidance.one"])
    evaluation.source._parsed.cache_clear()
    evaluation.source._file.cache_clear()
    return found


def test_comments_and_docstrings_do_not_count(module: Path) -> None:
    plain = digest(module, "x = 1\ndef f(): return x\n")
    told = '"""One."""\nx = 1  # one\n"""The x."""\n\n\ndef f():\n    """Of f."""\n    return x\n'
    assert digest(module, told) == plain


def test_code_counts(module: Path) -> None:
    assert digest(module, "x = 1\n") != digest(module, "x = 2\n")


def test_what_it_imports_counts_too(module: Path) -> None:
    module.with_name("two.py").write_text("y = 1\n")
    before = digest(module, "from guidance.two import y\n")
    module.with_name("two.py").write_text("y = 2\n")
    assert digest(module, "from guidance.two import y\n") != before


def test_what_only_type_checkers_read_does_not_count(module: Path) -> None:
    module.with_name("two.py").write_text("y = 1\n")
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from guidance.two import y\n"
    before = digest(module, text)
    module.with_name("two.py").write_text("y = 2\n")
    assert digest(module, text) == before
