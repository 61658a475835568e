"""What code a result depends on, as a digest: a change of it makes results stale, one of a comment does not."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]
OURS = ("evaluation", "guidance", "training")
EXECUTION = frozenset(f"guidance.models.{name}" for name in ("cores", "cuda", "execution", "graphs", "traced", "tries"))
"""How a network is run: it decides rounding at most. So does the engine, which batches (docs/adr/0008)."""
NAMES = frozenset(("guidance.presets", "guidance.registry"))
"""What there is to be asked for: requests that are resolved say all of it themselves."""


class _Bare(ast.NodeTransformer):
    """Without docstrings and what only type checkers read."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        typed = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return None if typed else self.generic_visit(node)


def code_digest(modules: Iterable[str]) -> str:
    """Of these modules and all of ours that they import, however far away, as syntax trees.

    What a package gathers in its `__init__` is not followed: a combiner is not its neighbours.
    """
    total = sha256()
    for module in sorted(closure(modules)):
        total.update(f"{module} {_parsed(module)[0]}\n".encode())
    return total.hexdigest()


def closure(modules: Iterable[str]) -> set[str]:
    """These modules, and all of ours that they import."""
    found, waiting = set[str](), [module for module in modules if _file(module)]
    while waiting:
        if (module := waiting.pop()) not in found:
            found.add(module)
            waiting += [other for other in _parsed(module)[1] if _file(other) and other not in EXECUTION | NAMES]
    return found


@cache
def _parsed(module: str) -> tuple[str, tuple[str, ...]]:
    """The digest of a module's syntax, and what it imports."""
    path = _file(module)
    assert path is not None, module
    tree = _Bare().visit(ast.parse(path.read_text()))
    return sha256(ast.dump(tree).encode()).hexdigest(), tuple(_imported(tree))


def _imported(tree: ast.AST) -> Iterator[str]:
    """Names that may be modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def _file(module: str) -> Path | None:
    """Where it is, if it is one of ours and no package."""
    path = ROOT / f"{module.replace('.', '/')}.py"
    return path if module.partition(".")[0] in OURS and path.is_file() else None
