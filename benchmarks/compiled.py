"""Against diffusers with its network compiled: eight plain CFG requests, and one alone.

Its own advice for speed: channels_last and `torch.compile(mode="reduce-overhead", fullgraph=True)`, which on CUDA
replays graphs; on a CPU plain inductor. Ours runs as GUIDEPOST_GRAPHS and GUIDEPOST_COMPILE say. Compiling is
not in the times, it has its own table. Runs only where it is named: a CPU compiles for minutes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median

import torch

from benchmarks.bench import Bench
from benchmarks.figure import Cell, Figure, Section, Table, ratios
from benchmarks.stock import Stock
from benchmarks.workloads import ALONE, PLAIN, Workload
from jobs.request import GenerationRequest

WORKLOADS: Mapping[str, Workload] = {"8 plain CFG requests": PLAIN, "one request alone": ALONE}
OTHERS = ("diffusers", "diffusers compiled")


class Compiled(Stock):
    """Stock diffusers, made fast as its documentation says."""

    def __init__(self, path: str, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(path, device, dtype)
        self.pipeline.unet.to(memory_format=torch.channels_last)
        self.pipeline.unet.compile(mode="reduce-overhead" if device.type == "cuda" else None, fullgraph=True)


def run(bench: Bench) -> Section:
    compiled = Compiled(bench.path, bench.device, bench.dtype)
    began = time.perf_counter()
    compiled.run(bench.batches(ALONE)[0])  # the network sees two rows in every call
    compiling = time.perf_counter() - began
    measured = {name: _compare(bench, compiled, name, workload) for name, workload in WORKLOADS.items()}
    figures = [
        Figure(f"{name}, ours / {other}", ratios(seconds[other], seconds["ours"]))
        for name, seconds in measured.items()
        for other in OTHERS
    ]
    columns = ("ours", *OTHERS)
    rows: list[list[Cell]] = [[name, *(median(seconds[way]) for way in columns)] for name, seconds in measured.items()]
    times = Table("Seconds", ("workload", *columns), rows)
    return Section(figures, [times, Table("Compiling", ("seconds of the first request",), [(compiling,)])])


def _compare(bench: Bench, compiled: Stock, name: str, workload: Workload) -> dict[str, list[float]]:
    batches: list[list[GenerationRequest]] = bench.batches(workload)
    return bench.times(
        f"compiled, {name}",
        {
            "ours": lambda k: bench.ours.run(batches[k]),
            "diffusers": lambda k: bench.stock.run(batches[k]),
            "diffusers compiled": lambda k: compiled.run(batches[k]),
        },
    )
