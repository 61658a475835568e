"""What the pages lead to is there: files, and headings in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.docs import ROOT
from evaluation.evidence.page import slug

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "clients").glob("*.md"))]
PAGES += [page for folder in ("docs", "models") for page in sorted((ROOT / folder).rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")


def headings(text: str) -> set[str]:
    return {slug(re.sub(r"[`*]", "", heading)) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def anchors(text: str) -> set[str]:
    return headings(text) | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in LINK.findall(text):
        path, _, anchor = link.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), link
        assert not anchor or anchor in anchors(found.read_text()), link
