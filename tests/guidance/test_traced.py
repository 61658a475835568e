"""Traced networks: the same bits, made beside the work, and given up where a trace would say something else."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor

from guidance.models import traced
from guidance.models.execution import Execution
from guidance.models.graphs import Inputs
from guidance.models.stable_diffusion import StableDiffusion
from guidance.models.traced import KEPT, OFTEN, Traced
from guidance.noise import Level
from guidance.protocol import Branch

CPU = torch.device("cpu")


class Doubling:
    """2 x, counting how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, inputs: Inputs) -> Tensor:
        self.calls += 1
        return 2 * inputs["x"]


def rows(count: int, features: int = 3) -> dict[str, Tensor]:
    return {"x": torch.arange(1.0, count * features + 1).reshape(count, features)}


def as_they_come(count: int) -> int:
    return count


def settled(network: Traced) -> list[bool]:
    """Whether each kind that was worth it has its trace, once that is known."""
    return [trace.exception() is None for trace in network.traces.values()]


def repeated(network: Traced, counts: Iterable[int], times: int = OFTEN) -> None:
    for count in counts:
        for _ in range(times):
            network(rows(count))


def test_what_is_met_often_runs_without_python_and_says_the_same() -> None:
    inner = Doubling()
    network = Traced(inner, as_they_come)
    repeated(network, [2])
    assert settled(network) == [True]
    asked = inner.calls
    other = {"x": torch.tensor([[0.1, -7.0, 3e30], [0.0, 5.0, -0.0]])}
    assert torch.equal(network(other), 2 * other["x"]) and inner.calls == asked


def test_what_is_met_seldom_is_not_traced() -> None:
    network = Traced(Doubling(), as_they_come)
    repeated(network, range(2, 40), OFTEN - 1)
    assert not network.traces


def test_each_size_shape_and_memory_format_has_its_own_trace() -> None:
    network = Traced(Doubling(), as_they_come)
    pictures = torch.ones(2, 3, 4, 4)
    kinds = [rows(2), rows(3), rows(2, 5), {"x": pictures}, {"x": pictures.to(memory_format=torch.channels_last)}]
    for inputs in kinds * OFTEN:
        network(inputs)
    assert settled(network) == [True] * len(kinds)
    assert all(torch.equal(network(inputs), 2 * inputs["x"]) for inputs in kinds)


def test_batches_are_padded_before_they_are_told_apart() -> None:
    network = Traced(Doubling(), lambda count: 4)
    repeated(network, [1, 2, 3], OFTEN // 2)
    assert settled(network) == [True]
    assert all(torch.equal(network(rows(count)), 2 * rows(count)["x"]) for count in (1, 2, 3, 4))


def test_a_network_that_looks_at_its_numbers_is_run_as_it_comes(caplog: pytest.LogCaptureFixture) -> None:
    def absolute(inputs: Inputs) -> Tensor:
        x = inputs["x"]
        return x if x.sum() > 0 else -x

    network = Traced(absolute, as_they_come)
    with caplog.at_level(logging.WARNING):
        repeated(network, [2])
        assert settled(network) == [False]
    assert "forwards of 2 rows are not traced" in caplog.text
    assert torch.equal(network({"x": -rows(2)["x"]}), rows(2)["x"])


def test_long_forwards_are_not_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traced, "SHORT", 0.0)
    network = Traced(Doubling(), as_they_come)
    repeated(network, [2, 3])
    assert not network.traces


def test_there_are_no_more_traces_than_are_kept() -> None:
    network = Traced(Doubling(), as_they_come)
    repeated(network, range(2, KEPT + 10))
    assert settled(network) == [True] * KEPT


def test_two_threads_at_once_make_one_trace_between_them() -> None:
    network = Traced(Doubling(), as_they_come)
    with ThreadPoolExecutor(2) as threads:
        outputs = list(threads.map(lambda _: network(rows(4)), range(6 * OFTEN)))
    assert settled(network) == [True]
    assert all(torch.equal(output, 2 * rows(4)["x"]) for output in outputs)


def test_a_traced_network_has_the_bits_of_a_plain_one(folder: Path) -> None:
    plain = StableDiffusion.load(folder, "tiny", CPU, torch.float32)
    net = StableDiffusion.load(folder, "tiny", CPU, torch.float32, execution=Execution(graphs=True))
    shape = plain.shape(plain.info.width, plain.info.height)
    seeded = torch.Generator().manual_seed(0)

    def branch(row: int) -> Branch:
        level = Level.variance_preserving(float(37 * row % 1000), 1.0)
        return Branch("cond", torch.randn(shape, generator=seeded), level, plain.encode(f"row {row}"))

    assert isinstance(net.plain, Traced)
    for count in (2, 3, 5, 8):
        for first in range(OFTEN):
            net._forward([branch(first + row) for row in range(count)])
    assert settled(net.plain) == [True] * 4
    for count in (1, 2, 3, 5, 8):
        branches = [branch(100 + row) for row in range(count)]
        for got, expected in zip(net.evaluate(branches), plain.evaluate(branches), strict=True):
            assert torch.equal(got, expected), f"a batch of {count}"
