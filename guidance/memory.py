"""Which dataclasses a trajectory may remember beside plain values: what `guidance.checkpoint` can write and read."""

from __future__ import annotations

from typing import TypeVar

Kind = TypeVar("Kind", bound=type)

REMEMBERED: dict[str, type] = {}
"""By name."""


def remembered(kind: Kind) -> Kind:
    """List a dataclass whose fields are plain values, tensors, or others that are listed."""
    assert REMEMBERED.setdefault(kind.__name__, kind) is kind, f"two are called {kind.__name__}"
    return kind
