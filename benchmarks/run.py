"""One run: the chosen benchmarks one after another, with progress bars, into one report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import diffusers
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import machine
from benchmarks.bench import Bench
from benchmarks.catalogue import benchmark
from benchmarks.report import Report
from jobs.settings import Settings
from workers.allocator import keep_memory

COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
PIPED_WIDTH = 140
"""Of tables that are not written to a terminal."""


def run(
    names: Sequence[str], source: str, settings: Settings, output: Path, *, repetitions: int, specs: int, quick: bool
) -> Report:
    """Measure, write the report to `output`, show it. Raises ModelError when the model cannot be loaded."""
    keep_memory()  # as in a worker process; both sides gain by it
    if settings.threads:
        torch.set_num_threads(settings.threads)
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    output.mkdir(parents=True, exist_ok=True)
    with Progress(*COLUMNS, console=Console(stderr=True)) as progress:
        bench = Bench(source, settings, repetitions, specs, quick, output, progress)
        try:
            report = measured(bench, names)
        finally:
            bench.close()
    report.show(Console(width=None if sys.stdout.isatty() else PIPED_WIDTH))
    print("Written:", *report.write(output))
    return report


def measured(bench: Bench, names: Sequence[str]) -> Report:
    """Run the named benchmarks in this order."""
    where = machine.described(bench)
    sections = {name: benchmark(name).run(bench) for name in names}
    abouts = {name: (benchmark(name).__doc__ or "").strip() for name in names}
    return Report(where | {"load after": machine.load()}, abouts, sections)
