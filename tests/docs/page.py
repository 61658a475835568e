"""The examples of a Markdown page: its fenced blocks of code, each with the answer that the page shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RUN = ("bash", "python")
ANSWERS = ("http", "json", "text")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$|^#+ ([^\n]+)$", flags=re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block, the line it begins at and the heading it stands under."""

    page: str
    heading: str
    line: int
    language: str
    text: str


@dataclass(frozen=True)
class Example:
    """What a reader runs, and what the page says comes of it; None where it does not say."""

    code: Block
    answer: Block | None

    def __str__(self) -> str:
        return f"{self.code.page}:{self.code.line} {self.code.heading}"


def blocks(path: Path) -> Iterator[Block]:
    """In the order of the page."""
    source, heading = path.read_text(), ""
    for found in FENCE.finditer(source):
        language, text, title = found.groups()
        if title is not None:
            heading = title
            continue
        line = source.count("\n", 0, found.start()) + 1
        yield Block(path.name, heading, line, language, text)


def examples(path: Path) -> list[Example]:
    """Blocks of bash and Python. An answer belongs to the one before it; other languages are for reading only."""
    found: list[Example] = []
    for block in blocks(path):
        if block.language in RUN:
            found.append(Example(block, None))
        elif block.language in ANSWERS:
            assert found, f"{path.name}:{block.line} answers nothing"
            assert found[-1].answer is None, f"{path.name}:{block.line} is a second answer to {found[-1]}"
            found[-1] = Example(found[-1].code, block)
    return found
