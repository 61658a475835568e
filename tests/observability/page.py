"""docs/metrics.md, read as a list of metrics."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
Described = dict[str, tuple[str, set[str]]]
"""A metric's name with its type and labels."""


def documented(process: str) -> Described:
    [section] = re.findall(rf"^## [^\n]*{process}[^\n]*\n(.*?)(?=^## |\Z)", PAGE, flags=re.DOTALL | re.MULTILINE)
    rows = re.findall(r"^\| `(guidepost_\w+)` \| (\w+) \|([^|]*)\|", section, flags=re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
