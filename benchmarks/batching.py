"""Milliseconds per row of one forward at each batch size, our network and the stock one."""

from __future__ import annotations

from statistics import median

from benchmarks.bench import Bench
from benchmarks.figure import Curve, Figure, Section, Table, ratios

SIZES = (1, 2, 4, 6, 8, 12, 16, 24, 32)
ROWS = 64
"""Rows in one timing, whatever the batch size."""


def run(bench: Bench) -> Section:
    sizes = SIZES[:3] if bench.quick else SIZES
    measured = {size: _per_row(bench, size) for size in sizes}
    figures = [
        Figure(f"network, {size} rows, stock / ours", ratios(seconds["stock"], seconds["ours"]))
        for size, seconds in measured.items()
        if size in (2, 16)
    ]
    rows = [(size, median(seconds["ours"]), median(seconds["stock"])) for size, seconds in measured.items()]
    curves = [
        Curve("ours", [(size, ours) for size, ours, _ in rows]),
        Curve("stock diffusers", [(size, stock) for size, _, stock in rows]),
    ]
    table = Table("Milliseconds per row", ("rows", "ours", "stock"), rows)
    return Section(figures, [table], curves, ("rows in a forward", "milliseconds per row"))


def _per_row(bench: Bench, size: int) -> dict[str, list[float]]:
    """Milliseconds per row, both networks in turn."""
    ours, stock = bench.ours, bench.stock
    branches = ours.branches(size)
    inputs = stock.inputs(branches)
    times = bench.few(max(1, ROWS // size), 1)
    seconds = bench.times(
        f"batching, {size} rows",
        {
            "ours": lambda _: [ours.forward(branches) for _ in range(times)],
            "stock": lambda _: [stock.forward(*inputs) for _ in range(times)],
        },
    )
    return {name: [1000 * one / (times * size) for one in spent] for name, spent in seconds.items()}
