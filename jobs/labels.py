"""Labels for things that are compared: what varies between them, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

LONGEST_VALUE = 32
LONGEST = 160

Path = tuple[str, ...]


def labels(asked: Sequence[Mapping[str, Any]], resolved: Sequence[Mapping[str, Any]] | None = None) -> list[str]:
    """One for each, all different: `weight=3, combiner=apg`. What all have in common is left out.

    Each names what was asked of it; where that is nothing which varies, what it has in place of what others asked.
    """
    own = [dict(_leaves(body)) for body in asked]
    whole = [dict(_leaves(body)) for body in resolved or asked]
    paths = list(dict.fromkeys(path for leaves in own for path in leaves))
    varying = [path for path in paths if len({leaves.get(path) for leaves in whole}) > 1] or paths
    names = short_names(varying)
    made = []
    for mine, all_of_it in zip(own, whole, strict=True):
        said = [path for path in varying if path in mine] or [path for path in varying if path in all_of_it]
        made.append(_label([(names[path], (all_of_it | mine)[path]) for path in said]))
    return distinct(made)


def short_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Each by the fewest last words that tell it from the others; `type` goes by what it is the type of."""
    words = {path: _words(path) for path in paths}
    choices = {path: [".".join(words[path][-count:]) for count in range(1, len(words[path]) + 1)] for path in paths}
    counted = Counter(name for path in paths for name in choices[path])
    return {
        path: next((name for name in choices[path] if counted[name] == 1), ".".join(_typed(path)[1:] or path))
        for path in paths
    }


def shown(value: Any) -> str:
    """A value in few characters; an object by its type and what else it says."""
    if isinstance(value, Mapping) and "type" in value:
        return " ".join([str(value["type"]), *(f"{name}={shown(v)}" for name, v in value.items() if name != "type")])
    whole = isinstance(value, float) and value.is_integer()
    text = value if isinstance(value, str) else json.dumps(int(value) if whole else value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def distinct(names: Iterable[str]) -> list[str]:
    """The same, with numbers behind those that were there before."""
    taken: list[str] = []
    for name in names:
        fits = (f"{name} ({count})" if count > 1 else name for count in range(1, len(taken) + 2))
        taken.append(next(choice for choice in fits if choice not in taken))
    return taken


def _label(values: Sequence[tuple[str, str]]) -> str:
    text = ", ".join(value if name == "preset" else f"{name}={value}" for name, value in values) or "default"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _leaves(node: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every value inside, as shown; lists of plain values are values."""
    if isinstance(node, Mapping):
        for name, inner in node.items():
            yield from _leaves(inner, (*path, str(name)))
    elif isinstance(node, list) and any(isinstance(inner, Mapping | list) for inner in node):
        for index, inner in enumerate(node):
            yield from _leaves(inner, (*path, str(index)))
    elif path and node is not None:
        yield path, shown(node)


def _words(path: Path) -> Path:
    """Without the places in lists."""
    named = _typed(path)
    return tuple(step for step in named if not step.isdecimal()) or named


def _typed(path: Path) -> Path:
    return path[:-1] if path[-1] == "type" and len(path) > 1 else path
