"""docs/api.md names every code that an error may have, and none that there is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.problems import code_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text()
RAISED = {"Refusal": 1, "Problem": 1, "invalid": 0, "PydanticCustomError": 0, "_problem": 0}
"""Calls that make an error -> which argument its code is."""
OF_THE_FRAMEWORK = {code_of(405)}
UNNAMED = {"value_error"}
"""Of pydantic's own, which the page refers to."""


def calls(folder: str) -> Iterator[tuple[str, ast.Call]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield getattr(node.func, "id", getattr(node.func, "attr", "")), node


def constants(node: ast.expr) -> set[str]:
    """The strings that an expression may be."""
    return {leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)}


def raised(*names: str) -> set[str]:
    found: set[str] = set()
    for folder in ("guidance", "jobs", "service"):
        for name, call in calls(folder):
            if name in names and len(call.args) > RAISED[name]:
                found |= constants(call.args[RAISED[name]])
    return found


def rows(beginning: str) -> set[str]:
    """The codes in the first columns of the table whose header begins so."""
    _, _, rest = PAGE.partition(f"\n| {beginning} |")
    table = rest.partition("\n\n")[0]
    return {code for line in table.splitlines()[2:] for code in re.findall(r"`([a-z_]+)`", line.rpartition(" | ")[0])}


def test_the_table_of_problems_has_every_code() -> None:
    assert rows("status | `code`") == raised("Refusal") | OF_THE_FRAMEWORK


@pytest.mark.parametrize("kind", sorted(RAISED.keys() - {"Refusal"}))
def test_the_table_of_errors_has_every_code_of_ours(kind: str) -> None:
    missing = {code for code in raised(kind) if re.fullmatch("[a-z_]+", code)} - rows("code") - UNNAMED
    assert not missing, f"docs/api.md does not say what {sorted(missing)} mean"


def test_the_table_of_errors_names_none_that_there_is_not() -> None:
    ours = raised(*RAISED.keys() - {"Refusal"}) | {"json_invalid"}
    assert rows("code") <= ours
