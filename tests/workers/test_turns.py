"""Who goes in a tick, seen from outside: by when requests of various lengths end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from torch import Tensor

from guidance.protocol import Branch
from tests.workers.conftest import Failing, MakeTask, run_to_end
from workers.engine import Engine
from workers.task import Outcome, Progress, Task
from workers.turns import PATIENCE, SMALLER

ROWS = 8


@pytest.fixture
def batches(model: Failing) -> list[int]:
    """Sizes of the forwards so far."""
    sizes: list[int] = []

    def note(branches: Sequence[Branch], outputs: list[Tensor]) -> None:
        sizes.append(len(branches))

    model.fault = note
    return sizes


def step(task: Task) -> int:
    """The latest step that the engine has told of, taking away what it told."""
    told = [task.updates.get() for _ in range(task.updates.qsize())]
    return max((update.step for update in told if isinstance(update, Progress)), default=0)


def ended(task: Task) -> bool:
    return any(isinstance(task.updates.get(), Outcome) for _ in range(task.updates.qsize()))


def long(make_task: MakeTask, name: str) -> Task:
    return make_task(name, sampler={"type": "ddim", "steps": 100})


def crowd(engine: Engine, make_task: MakeTask) -> None:
    """More long requests than have room, all past their first step."""
    for k in range(10):
        engine.submit(long(make_task, str(k)))
    for _ in range(5):
        engine.tick()


def test_where_all_have_room_all_go(engine: Engine, make_task: MakeTask, batches: list[int]) -> None:
    run_to_end(engine, [make_task(str(k), seed=k) for k in range(4)])
    assert batches == [ROWS] * 4


def test_where_not_all_have_room_no_forward_is_larger_and_none_is_left_behind(
    engine: Engine, make_task: MakeTask, batches: list[int]
) -> None:
    tasks = [make_task(str(k), seed=k, sampler={"type": "ddim", "steps": 20}) for k in range(6)]
    for task in tasks:
        engine.submit(task)
    for _ in range(9):
        engine.tick()
    assert batches == [ROWS] * 9
    assert {step(task) for task in tasks} == {6}  # 9 ticks of 4 over 6 requests
    run_to_end(engine, [])


def test_the_first_step_of_a_new_request_is_in_the_next_tick(engine: Engine, make_task: MakeTask) -> None:
    crowd(engine, make_task)
    new = long(make_task, "new")
    engine.submit(new)
    engine.tick()
    assert step(new) == 1


def test_the_first_step_of_a_long_one_comes_before_the_next_of_short_ones(engine: Engine, make_task: MakeTask) -> None:
    engine.submit(long(make_task, "old"))
    for k in range(4):  # as many as have room in a tick
        engine.submit(make_task(f"short {k}", sampler={"type": "ddim", "steps": 20}))
    for _ in range(5):
        engine.tick()
    new = long(make_task, "new")
    engine.submit(new)
    engine.tick()
    assert step(new) == 1


def test_a_short_request_goes_in_every_tick_and_ticks_are_a_quarter_as_large_meanwhile(
    engine: Engine, make_task: MakeTask, batches: list[int]
) -> None:
    crowd(engine, make_task)
    short = make_task("short")
    engine.submit(short)
    for _ in range(4):
        engine.tick()
    assert step(short) == 4
    engine.tick()
    assert batches[5:] == [ROWS // SMALLER] * 4 + [ROWS]


def test_ticks_have_room_for_all_the_short_ones(engine: Engine, make_task: MakeTask, batches: list[int]) -> None:
    crowd(engine, make_task)
    short = [make_task(f"short {k}", seed=k) for k in range(3)]
    for task in short:
        engine.submit(task)
    for _ in range(4):
        engine.tick()
    assert {step(task) for task in short} == {4} and batches[5:] == [6] * 4


def test_a_stream_of_short_requests_starves_no_long_one(engine: Engine, make_task: MakeTask) -> None:
    patient = long(make_task, "patient")
    engine.submit(patient)
    done = 0
    for tick in range(6 * PATIENCE):
        engine.submit(make_task(f"short {tick}"))
        engine.tick()
        done = max(done, step(patient))
    assert done >= 5


def test_a_request_of_more_rows_than_have_room_goes_by_itself(
    model: Failing, make_task: MakeTask, batches: list[int]
) -> None:
    engine = Engine({"small": model}, max_batch_rows=1)
    [outcome] = run_to_end(engine, [make_task()])
    assert outcome.status == "succeeded" and batches == [1] * 8
