"""docs/checks.md: which test shows what of a method. Every test that it names exists, and no method is left out."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from guidance.registry import UNIONS, members

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "checks.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", PAGE, flags=re.MULTILINE))
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
REGISTERED = {(stage, method.type_name()) for stage in UNIONS for method in members(stage)}


def rows(section: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@cache
def defined(path: str) -> set[str]:
    return set(re.findall(r"^def (test_\w+)\(", (ROOT / path).read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("path", sorted({path for path, _ in NAMED}))
def test_every_named_test_exists(path: str) -> None:
    assert {name for where, name in NAMED if where == path} <= defined(path)


def test_every_registered_method_has_checks_and_no_other_has() -> None:
    assert {(stage, row[0].strip("`")) for stage in UNIONS for row in rows(stage)} == REGISTERED


def test_every_check_names_a_test() -> None:
    for section in SECTIONS:
        assert rows(section)
        for row in rows(section):
            assert all(row) and re.fullmatch(r"(`tests/[\w/]+\.py::test_\w+` ?)+", row[-1]), row


def test_no_check_is_told_twice() -> None:
    for stage in UNIONS:
        told = [tuple(row[:2]) for row in rows(stage)]
        assert len(told) == len(set(told))


def test_the_numbers_at_the_top_are_counted() -> None:
    own = sum(len(rows(stage)) for stage in UNIONS)
    every, compared = len(rows("Every method")), len(rows("Compared with diffusers"))
    assert (
        f"{len(REGISTERED)} methods, {own} checks of their own, {every} that hold across methods, "
        f"{compared} comparisons with diffusers."
    ) in PAGE
