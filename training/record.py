"""Numbers on their way to disk."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.intervals import Estimate

WINDOW = 50


def smooth(values: Sequence[float], window: int = WINDOW) -> list[float]:
    """Means of consecutive windows; the last one may be shorter."""
    return [sum(values[i : i + window]) / len(values[i : i + window]) for i in range(0, len(values), window)]


def estimates(tree: Any) -> Any:
    """Estimates as plain dictionaries, anywhere in a tree of dictionaries."""
    if isinstance(tree, Estimate):
        return asdict(tree)
    return {name: estimates(part) for name, part in tree.items()} if isinstance(tree, dict) else tree


def write_json(tree: Any, path: Path) -> None:
    """Write a tree of plain values and estimates."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(estimates(tree), indent=1) + "\n")
