"""Milliseconds per row of one forward at each batch size, our network and the stock one, with nothing around them."""

from __future__ import annotations

from statistics import median

from benchmarks.bench import Bench, Way
from benchmarks.figure import Curve, Figure, Section, Table, ratios

SIZES = (1, 2, 4, 6, 8, 12, 16, 24, 32)
ROWS = 32
"""Rows in one timing, whatever the batch size."""
Side = tuple[str, int]
"""Whose network, and how many rows."""


def run(bench: Bench) -> Section:
    sizes = SIZES[:3] if bench.quick else SIZES
    few, many = ("ours", 2), ("ours", max(size for size in sizes if size <= 16))
    each = _per_row(bench, sizes)
    figures = [
        Figure(f"network alone, {few[1]} rows / {many[1]} rows, per row", ratios(each[few], each[many])),
        Figure(f"network alone, stock / ours, {few[1]} rows", ratios(each["stock", few[1]], each[few])),
        Figure(f"network alone, stock / ours, {many[1]} rows", ratios(each["stock", many[1]], each[many])),
    ]
    rows = [(size, median(each["ours", size]), median(each["stock", size])) for size in sizes]
    curves = [
        Curve("ours", [(size, ours) for size, ours, _ in rows]),
        Curve("stock diffusers", [(size, stock) for size, _, stock in rows]),
    ]
    table = Table("Milliseconds per row", ("rows", "ours", "stock"), rows)
    return Section(figures, [table], curves, ("rows in a forward", "milliseconds per row"))


def _per_row(bench: Bench, sizes: tuple[int, ...]) -> dict[Side, list[float]]:
    """Milliseconds per row, all sizes of both networks in turn."""
    times = {size: bench.few(max(1, ROWS // size), 1) for size in sizes}
    ways: dict[Side, Way] = {}
    for size in sizes:
        ways["ours", size] = _ours(bench, size, times[size])
        ways["stock", size] = _stock(bench, size, times[size])
    seconds = bench.times("batching", ways)
    return {side: [1000 * one / (times[side[1]] * side[1]) for one in spent] for side, spent in seconds.items()}


def _ours(bench: Bench, size: int, times: int) -> Way:
    branches = bench.ours.branches(size)
    return lambda _: [bench.ours.forward(branches) for _ in range(times)]


def _stock(bench: Bench, size: int, times: int) -> Way:
    inputs = bench.stock.inputs(bench.ours.branches(size))
    return lambda _: [bench.stock.forward(*inputs) for _ in range(times)]
