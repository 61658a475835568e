"""The code blocks of clients/README.md."""

from __future__ import annotations

import re

from cli.docs import ROOT

_PAGE = (ROOT / "clients" / "README.md").read_text()


def section(heading: str) -> str:
    """What is under the heading of this name."""
    [found] = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", _PAGE, flags=re.DOTALL | re.MULTILINE)
    return str(found)


def block(heading: str, language: str) -> str:
    """The one code block in this language under the heading."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```", section(heading), flags=re.DOTALL | re.MULTILINE)
    return str(found)
