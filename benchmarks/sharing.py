"""What sharing forwards gains, by who may share them: eight mixed requests through one engine, all there at once.

Together: ours, every row with every other. Alone: one request after another, which is a batch of one request and what
servers around a diffusers pipeline do. Between them the published batching keys of vLLM-Omni and SGLang: requests with
equal keys run together, one group after another. That is an emulation of the rule on our engine, with our network and
solvers, not a measurement of their software; that all requests are there at once is the best case for grouping.

The ceiling is what the same gain would be if nothing but the network took time: the bare forwards of the run alone over
those of the run together, each with the rows that it had, so that spared evaluations and ragged ends are in both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from benchmarks import keyed
from benchmarks.bench import Bench, Way
from benchmarks.figure import Figure, Goal, Section, Table, ratios
from benchmarks.keyed import Key, groups
from benchmarks.workloads import MIXED
from jobs.request import GenerationRequest

GAIN, SHARE, OVER_KEYS = Goal(1.25), Goal(0.85), Goal(1.2)
ALONE, TOGETHER = "one at a time, as around diffusers", "everyone"
KEYS: dict[str, Key] = {
    "vLLM-Omni's key": keyed.vllm_omni,
    "SGLang's early key": keyed.sglang,
    "SGLang's proposed key": keyed.sglang_continuous,
}


def run(bench: Bench) -> Section:
    batches = bench.batches(MIXED)
    forwards: dict[str, Counter[int]] = {}

    def grouped(name: str, key: Key) -> Way:
        return lambda k: forwards.update({name: _forwards(bench, groups(batches[k], key))})

    seconds = bench.times(
        "sharing",
        {
            ALONE: grouped(ALONE, keyed.alone),
            TOGETHER: grouped(TOGETHER, lambda _: TOGETHER),
            "bare alone": lambda _: _bare(bench, forwards[ALONE]),
            "bare together": lambda _: _bare(bench, forwards[TOGETHER]),
            **{name: grouped(name, key) for name, key in KEYS.items()},
        },
    )
    gain = ratios(seconds[ALONE], seconds[TOGETHER])
    ceiling = ratios(seconds["bare alone"], seconds["bare together"])
    figures = [
        Figure("batching gain: 8 mixed requests at once / one after another", gain, goal=GAIN, id="R1"),
        Figure("batching gain / what the bare forwards allow", ratios(gain, ceiling), goal=SHARE, id="R1"),
        Figure("what the bare forwards allow", ceiling),
        *(
            Figure(
                f"8 distinct specs, ours / {name}", ratios(seconds[name], seconds[TOGETHER]), goal=OVER_KEYS, id="R3"
            )
            for name in (*KEYS, ALONE)
        ),
    ]
    rows = [_row(name, median(seconds[name]), forwards[name]) for name in (ALONE, *KEYS, TOGETHER)]
    return Section(figures, [Table("Eight mixed requests", ("who shares", "seconds", "forwards", "rows each"), rows)])


def _forwards(bench: Bench, runs: Sequence[Sequence[GenerationRequest]]) -> Counter[int]:
    """Run the groups one after another; the forwards that it took, by their rows."""
    before = bench.ours.forwards
    for group in runs:
        bench.ours.run(group)
    return bench.ours.forwards - before


def _bare(bench: Bench, forwards: Counter[int]) -> None:
    """As many forwards of the network, with as many rows."""
    for rows, count in forwards.items():
        branches = bench.ours.branches(rows)
        for _ in range(count):
            bench.ours.forward(branches)


def _row(name: str, seconds: float, forwards: Counter[int]) -> tuple[str, float, int, float]:
    return name, seconds, forwards.total(), sum(rows * count for rows, count in forwards.items()) / forwards.total()
