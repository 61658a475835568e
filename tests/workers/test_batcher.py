"""Grouping, chunking and blame, without trajectories."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from guidance.noise import Level
from guidance.protocol import Branch
from tests.workers.conftest import Failing, small_mixture
from workers.batcher import Batcher, Room, is_out_of_memory

LEVEL = Level.variance_preserving(500, 1.0)


def branches(model: Failing, labels: list[int]) -> list[Branch]:
    x = torch.ones((1, 3, 4, 4), dtype=torch.float64)
    return [Branch("cond", x, LEVEL, model.label(label)) for label in labels]


def test_answers_come_in_the_order_of_the_branches_across_models_and_chunks(model: Failing) -> None:
    other = small_mixture()
    wanted = [(model if k % 2 else other, branch) for k, branch in enumerate(branches(model, [0, 1, 2, 3, 0, 1, 2]))]
    batcher = Batcher(max_rows=2)
    answers = batcher.evaluate(wanted)
    for (_, branch), answer in zip(wanted, answers, strict=True):
        assert isinstance(answer.output, torch.Tensor)
        assert torch.equal(answer.output, other.evaluate([branch])[0])
    assert batcher.totals.forwards == 4  # 4 rows of one model and 3 of the other, two at a time
    assert batcher.totals.rows == 7


@pytest.mark.parametrize("bad", [0, 3, 6])
def test_only_the_row_at_fault_gets_the_error(model: Failing, bad: int) -> None:
    wanted = branches(model, [0, 1, 2, 3, 0, 1, 2])

    def fault(batch: Sequence[Branch], outputs: object) -> None:
        if wanted[bad] in batch:
            raise RuntimeError("bad row")

    model.fault = fault
    answers = Batcher(max_rows=8).evaluate([(model, branch) for branch in wanted])
    assert [isinstance(answer.output, RuntimeError) for answer in answers] == [k == bad for k in range(7)]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("shape mismatch"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def crowded(room: Room, fits: int) -> int:
    """One forward of as many rows as it allows, halved until they fit; how many it allowed."""
    tried = rows = room.rows
    while rows > fits:
        rows //= 2
    room.was_too_small(2 * rows) if rows < tried else room.ended_well(rows)
    return tried


def test_room_that_comes_back_is_used_again() -> None:
    room = Room(16, patience=3)
    assert [crowded(room, 2) for _ in range(2)] == [16, 2]
    assert [crowded(room, 99) for _ in range(10)] == [2, 2, 4, 4, 4, 8, 8, 8, 16, 16]


def test_room_that_does_not_come_back_is_tried_ever_more_seldom() -> None:
    room = Room(16, patience=3)
    tried = [crowded(room, 8) for _ in range(50)]
    assert [place for place, rows in enumerate(tried) if rows == 16] == [0, 4, 11, 24, 49]


def test_a_forward_smaller_than_what_is_allowed_says_nothing_of_it() -> None:
    room = Room(16, patience=3)
    room.was_too_small(16)
    for _ in range(9):
        room.ended_well(7)
    assert room.rows == 8
