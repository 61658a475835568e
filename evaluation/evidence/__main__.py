"""`python -m evaluation.evidence`: measures the claims' sweeps, and writes docs/evidence.md and docs/choosing.md."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from evaluation import png
from evaluation.evidence.page import MAKE_VARIANTS, VARIANTS, pages
from evaluation.evidence.record import Record
from evaluation.evidence.site import SITE, Site
from evaluation.forest import forest
from evaluation.plots import trade_offs
from evaluation.run import Run, run
from evaluation.sampling import SamplingFailed
from evaluation.sheet import sheet
from evaluation.sweep import SIZES, Size, Sweep, SweepProblems, read_sweep
from workers.loading import ModelError, folder_of

CACHE = Path(".cache/evaluation")
COLUMNS = 8
"""Captions on a sheet."""
DPI = 110


def main(arguments: list[str] | None = None, site: Site = SITE) -> int:
    """0 if everything that was asked for is measured; 1 if anything is not, which is told."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.evidence", description="The claims of docs/evidence.md, measured."
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(site.sweeps)}; default: all")
    parser.add_argument("--size", choices=SIZES, default="full", help="which of a sweep's counts")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of what was sampled and measured before")
    parser.add_argument("--page", action="store_true", help="only write the pages again, of what was measured before")
    asked = parser.parse_args(arguments)
    if unknown := sorted(set(asked.names) - site.sweeps.keys()):
        parser.error(f"{unknown[0]!r} is no sweep; there are {', '.join(site.sweeps)}")
    failed = False
    for name in [] if asked.page else asked.names or site.sweeps:
        try:
            measure(name, asked.size, asked.cache, site)
        except SweepProblems as problems:
            failed = True
            print(*(f"{name}: {line}" for line in problems.lines), sep="\n", file=sys.stderr)
        except (ModelError, SamplingFailed) as error:
            failed = True
            print(f"{name}: {error}", file=sys.stderr)
        except KeyboardInterrupt:
            print(f"Stopped. What is sampled lies in {asked.cache}: the same command goes on from there.")
            return 1
        write(site)
    write(site)
    return int(failed)


def measure(name: str, size: Size, cache: Path, site: Site) -> None:
    """One sweep: its numbers, its plot and its sheet. Raises as `evaluation.run.run`."""
    sweep = read_sweep(site.sweeps[name])
    if lacking := [*missing(sweep), *undrawable(sweep)]:
        raise SweepProblems(lacking)
    done = run(sweep, size, cache)
    Record.of(done).save(site.record(name))
    draw(name, done, site)
    print(site.record(name))


def draw(name: str, done: Run, site: Site) -> None:
    """Without a claim there is nothing to plot but all points side by side."""
    figure = trade_offs(done.results, done.sweep.plot) if done.sweep.claim else forest(done.results)
    png.save(figure, site.plot(name), dpi=DPI)
    shown = {point: pictures[:COLUMNS] for point, pictures in done.shown.items()}
    png.save(sheet(shown, done.captions[:COLUMNS]), site.sheet(name), shades=True, dpi=DPI)


def missing(sweep: Sweep) -> list[str]:
    """Models that are not there, and what would make them."""
    absent = {id: source for id, source in sweep.models.items() if not folder_of(source).is_dir()}
    return [
        f"models: {id}: {source} is missing{f': `{MAKE_VARIANTS}` trains it' if source.startswith(VARIANTS) else ''}"
        for id, source in absent.items()
    ]


def undrawable(sweep: Sweep) -> list[str]:
    """What a plot needs and a sweep lacks."""
    needs = sweep.claim is None and sweep.baseline is None
    return ["baseline = None: without a claim, points are plotted by their differences from one"] if needs else []


def write(site: Site) -> None:
    """The pages, with what is measured by now."""
    for path, text in pages(site).items():
        path.write_text(text)


if __name__ == "__main__":
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    sys.exit(main())
