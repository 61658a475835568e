"""One run: the chosen benchmarks one after another, with progress bars, into one report."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import diffusers
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import machine
from benchmarks.bench import Bench
from benchmarks.catalogue import benchmark
from benchmarks.figure import Section
from benchmarks.report import Report
from jobs.settings import Settings
from workers.allocator import keep_memory
from workers.loading import ModelError

COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
PIPED_WIDTH = 140
"""Of tables that are not written to a terminal."""


def run(
    names: Sequence[str], source: str, settings: Settings, output: Path, *, repetitions: int, specs: int, quick: bool
) -> Report:
    """Measure, write the report to `output`, show it. Raises ModelError when the model cannot be loaded."""
    keep_memory()  # as a worker; diffusers gains as much
    if settings.threads:
        torch.set_num_threads(settings.threads)
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    output.mkdir(parents=True, exist_ok=True)
    with Progress(*COLUMNS, console=Console(stderr=True)) as progress:
        bench = Bench(source, settings, repetitions, specs, quick, output, progress)
        try:
            for report in measured(bench, names):
                written = report.write(output)
        finally:
            bench.close()
    report.show(Console(width=None if sys.stdout.isatty() else PIPED_WIDTH))
    print("Written:", *written)
    return report


def measured(bench: Bench, names: Sequence[str]) -> Iterator[Report]:
    """Run the named benchmarks in this order. After each the report so far: who stops a run keeps what it measured."""
    where, abouts = machine.described(bench), dict[str, str]()
    sections, seconds = dict[str, Section](), dict[str, float]()
    for name in names:
        began = time.perf_counter()
        sections[name] = section(bench, name)
        seconds[name] = time.perf_counter() - began
        abouts[name] = (benchmark(name).__doc__ or "").strip()
        after = {"load after": machine.load(), "time": f"{sum(seconds.values()) / 60:.0f} minutes"}
        yield Report(where | after, abouts, sections, seconds)


def section(bench: Bench, name: str) -> Section:
    """What it found. One that fails says so in the report, and does not take the rest along."""
    try:
        return benchmark(name).run(bench)  # type: ignore[no-any-return]
    except ModelError:
        raise
    except Exception as error:
        bench.progress.console.print_exception()
        return Section(failure=f"not measured: {type(error).__name__}: {error}")
