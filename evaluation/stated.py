"""What a caption states, where a spec asks for it: guidance by a classifier needs each caption's own classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from training.captions import Claims

STATED = "$stated"
"""In place of a list of labels: the classes that the image's caption states."""


def filled(tree: Any, claims: Claims | None) -> Any:
    """The tree with each STATED replaced. What would have no labels left is left out of the list that it is in."""
    if isinstance(tree, dict):
        return {name: words(claims) if part == STATED else filled(part, claims) for name, part in tree.items()}
    if isinstance(tree, list):
        return [filled(part, claims) for part in tree if not (_asks(part) and not words(claims))]
    return tree


def _asks(part: Any) -> bool:
    return isinstance(part, dict) and STATED in [value for value in part.values() if isinstance(value, str)]


def words(claims: Claims | None) -> list[str]:
    """The names of the classes that are stated, of captions with one thing: of two, it is not said which has which."""
    return list(_words(claims)) if claims is not None and len(claims.things) == 1 else []


def _words(claims: Claims) -> Iterator[str]:
    [thing] = claims.things
    for value in (thing.shape, thing.colour, thing.size, claims.tone, claims.pattern):
        if value is not None:
            yield value
