"""`python -m evaluation.plane`: the pictures in the plane and their numbers, and the tables of docs/plane.md."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import matplotlib

from evaluation.plane import drift, fork, push, sharpening, three_gaussians
from evaluation.plane.canvas import STYLE
from evaluation.plane.picture import Picture, filled

DOCS = Path(__file__).parents[2] / "docs"
FOLDER, PAGE = DOCS / "pictures" / "plane", DOCS / "plane.md"
PICTURES: dict[str, Callable[[], Picture]] = {
    "three_gaussians": three_gaussians.picture,
    "drift": drift.picture,
    "push": push.picture,
    "sharpening": sharpening.picture,
    "fork": fork.picture,
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m evaluation.plane", description="The pictures of docs/plane.md.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(PICTURES)}; default: all")
    names = parser.parse_args(arguments).names or list(PICTURES)
    if unknown := sorted(set(names) - PICTURES.keys()):
        parser.error(f"{unknown[0]!r} is no picture; there are {', '.join(PICTURES)}")
    for name in names:
        with matplotlib.rc_context(STYLE):
            drawn = PICTURES[name]()
        drawn.save(FOLDER, name)
        numbers = json.loads((FOLDER / f"{name}.json").read_text())
        PAGE.write_text(filled(PAGE.read_text(), name, numbers))
        print(FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
