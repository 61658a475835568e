"""What batching can gain at most: eight forwards of two rows over one of sixteen, with nothing around the networks."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.bench import Bench, Way
from benchmarks.figure import Figure, ratios

ROUNDS = 5
"""Of forwards in one timing, so that it lasts a good part of a second."""


def figures(bench: Bench) -> list[Figure]:
    """Within stock diffusers, within ours, and from the one to the other."""
    rounds = bench.few(ROUNDS, 1)
    ours, stock = bench.ours, bench.stock
    few, many = ours.branches(2), ours.branches(16)
    stock_few, stock_many = stock.inputs(few), stock.inputs(many)
    seconds = bench.times(
        "ceiling",
        {
            "ours 8 x 2": _repeated(8 * rounds, lambda: ours.forward(few)),
            "ours 16": _repeated(rounds, lambda: ours.forward(many)),
            "stock 8 x 2": _repeated(8 * rounds, lambda: stock.forward(*stock_few)),
            "stock 16": _repeated(rounds, lambda: stock.forward(*stock_many)),
        },
    )
    pairs = [("stock 8 x 2", "stock 16"), ("ours 8 x 2", "ours 16"), ("stock 8 x 2", "ours 16")]
    return [
        Figure(f"forward-only ceiling, {above} rows / {below} rows", ratios(seconds[above], seconds[below]))
        for above, below in pairs
    ]


def _repeated(count: int, forward: Callable[[], object]) -> Way:
    def way(_: int) -> None:
        for _ in range(count):
            forward()

    return way
