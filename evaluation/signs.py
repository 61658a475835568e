"""What stands in a spec for each image's own. `evaluation.stated` puts that in its place."""

from __future__ import annotations

from typing import Any

STATED = "$stated"
"""In place of a list of labels: the classes that the image's caption states."""
SCENE = "$scene"
"""In place of a picture: that of the scene which the image's caption was drawn from."""


def asks(tree: Any, sign: str) -> bool:
    """Whether a sign is anywhere in it."""
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list | tuple) else ()
    return bool(tree == sign) or any(asks(part, sign) for part in parts)
