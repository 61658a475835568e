"""What is each image's own in a spec: the classes that its caption states, and the picture of its caption's scene."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import PIL.Image

from evaluation.reference import rendered
from evaluation.signs import SCENE, STATED
from guidance.picture import data_url
from training.captions import Claims
from training.scenes import Scene


def filled(tree: Any, claims: Claims | None, scene: Scene | None = None) -> Any:
    """The tree with each STATED and SCENE replaced. What would have no labels left is left out of its list."""
    if isinstance(tree, dict):
        return {name: words(claims) if part == STATED else filled(part, claims, scene) for name, part in tree.items()}
    if isinstance(tree, list):
        return [filled(part, claims, scene) for part in tree if not (_asks(part) and not words(claims))]
    return picture(scene) if tree == SCENE and scene is not None else tree


def picture(scene: Scene) -> str:
    """The scene as a PNG's data URL."""
    [drawn] = rendered([scene])
    PIL.Image.fromarray(drawn).save(file := io.BytesIO(), format="PNG")
    return data_url(file.getvalue())


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
