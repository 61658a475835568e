"""What an image would hold and run, read from the Dockerfile: enough of its language for the one of this project."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Instruction:
    word: str
    """FROM, RUN, COPY, ..."""
    text: str


@dataclass(frozen=True)
class Image:
    """A target with the stages that it builds on: its instructions from the base image on."""

    target: str
    base: str
    instructions: tuple[Instruction, ...]

    def of(self, word: str) -> list[str]:
        return [one.text for one in self.instructions if one.word == word]

    @property
    def copied(self) -> list[str]:
        """Files and folders of the project, each under its own name."""
        return [source for text in self.of("COPY") for source in shlex.split(text)[:-1]]

    @property
    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for text in self.of("ENV") + self.of("ARG") for pair in shlex.split(text))

    @property
    def command(self) -> list[str]:
        found: list[str] = json.loads(self.of("CMD")[-1])
        return found

    @property
    def health(self) -> list[str]:
        """The command of the health check."""
        found: list[str] = json.loads(self.of("HEALTHCHECK")[-1].partition(" CMD ")[2])
        return found

    def lay(self, folder: Path) -> None:
        """Copy what the image would hold of the project."""
        for name in self.copied:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder / name)


@cache
def images() -> dict[str, Image]:
    """By target."""
    found: dict[str, Image] = {}
    for section in re.split(r"^(?=FROM )", _joined((ROOT / "Dockerfile").read_text()), flags=re.MULTILINE)[1:]:
        first, *rest = [Instruction(*line.split(maxsplit=1)) for line in section.splitlines() if line]
        base, _, target = first.text.split()
        below = found.get(base, Image(base, base, ()))
        found[target] = Image(target, below.base, (*below.instructions, *rest))
    return found


def _joined(text: str) -> str:
    """One instruction a line, without comments."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
