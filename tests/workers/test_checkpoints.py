"""What an engine writes down of its flights, and another engine that goes on from it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guidance.checkpoint import Packed
from guidance.picture import data_url
from guidance.protocol import Branch
from jobs.encoding import encode
from tests.workers.conftest import Failing, MakeTask, poison, run_to_end, small_mixture, updates
from tests.workers.test_engine import GUIDANCES, requests
from workers.checkpoint import Checkpoint
from workers.engine import Engine
from workers.task import Image, Outcome, Preview, Progress, Task

ALWAYS = 1e-9
"""Seconds between checkpoints: one a tick, as long as each is taken."""


def cut(engine: Engine, tasks: Sequence[Task], ticks: int) -> list[tuple[Packed | None, Outcome]]:
    """Run them together for so many ticks, then let go of them all: what each has left, through bytes, and its end."""
    for task in tasks:
        task.checkpoint_seconds = 1e9
        engine.submit(task)
    for _ in range(ticks):
        engine.tick()
    for task in tasks:
        task.released.set()
    engine.stop()
    engine.run()
    told = [updates(task) for task in tasks]
    return [(left(all), all[-1]) for all in told]


def left(updates: Sequence[Any]) -> Packed | None:
    checkpoints = [update for update in updates if isinstance(update, Checkpoint)]
    return Packed.from_bytes(checkpoints[-1].states.to_bytes("this"), "this") if checkpoints else None


def said(image: Image) -> dict[str, Any]:
    """All of it that does not depend on the machine and the batch."""
    numbers = {name: column for name, column in image.columns.items() if name not in ("milliseconds", "batch_rows")}
    return {"index": image.index, "seed": image.seed, "pixels": image.pixels.tobytes(), **numbers}


def same(outcome: Outcome, other: Outcome) -> bool:
    assert outcome.usage and other.usage
    assert (outcome.status, outcome.detail, outcome.usage.nfe) == (other.status, other.detail, other.usage.nfe)
    return [said(image) for image in outcome.images] == [said(image) for image in other.images]


@given(bodies=st.lists(requests, min_size=2, max_size=3), ticks=st.integers(1, 8), chance=st.randoms())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_requests_go_on_in_another_batch_as_if_nothing_had_been(
    bodies: list[dict[str, Any]], ticks: int, chance: random.Random, make_task: MakeTask
) -> None:
    def engine() -> Engine:
        return Engine({"small": small_mixture()}, chance.randint(1, 16))

    def made() -> list[Task]:
        return [make_task(str(k), **body) for k, body in enumerate(bodies)]

    undisturbed = run_to_end(engine(), made())
    again = made()
    for task, (states, ended) in zip(again, cut(engine(), made(), ticks), strict=True):
        assert ended.status in ("released", "succeeded") and ended.usage is not None
        assert ended.status == "succeeded" or (states is None) == (ended.usage.nfe == 0)  # not all had a turn yet
        task.resumes = states
    together = [make_task("other", seed=77), *chance.sample(again, len(again))]
    ends = dict(zip((task.id for task in together), run_to_end(engine(), together), strict=True))
    assert all(same(ends[str(k)], expected) for k, expected in enumerate(undisturbed))


def test_steps_that_were_done_are_not_done_again(engine: Engine, make_task: MakeTask) -> None:
    [(states, _)] = cut(Engine(engine.models), [make_task()], 3)
    again = make_task()
    again.resumes = states
    run_to_end(engine, [again])
    assert engine.batcher.totals.rows == 2  # of 4 steps the last


def test_progress_goes_on_and_a_preview_is_not_sent_twice(engine: Engine, make_task: MakeTask) -> None:
    body = {"sampler": {"type": "ddim", "steps": 9}, "output": {"previews": 2}}
    [(states, _)] = cut(Engine(engine.models), [make_task(**body)], 3)
    again = make_task(**body)
    again.resumes = states
    engine.submit(again)
    engine.stop()
    engine.run()
    told = updates(again)
    assert [update.step for update in told if isinstance(update, Preview)] == [6]
    assert next(update for update in told if isinstance(update, Progress)) == Progress(4, 9, 8, 18)


def test_images_that_were_done_are_kept_and_one_that_was_lost_is_lost(model: Failing, make_task: MakeTask) -> None:
    """Of three images the first is lost on the way; the others go on elsewhere, and the end is that of no cut."""
    model.fault = spoiling(model)
    body = {"n": 3, "label": 3, "sampler": {"type": "ddim", "steps": 24}}
    [expected] = run_to_end(Engine({"small": model}), [make_task(**body)])
    model.fault = spoiling(model)
    [(states, _)] = cut(Engine({"small": model}), [make_task(**body)], 18)
    again = make_task(**body)
    again.resumes = states
    [ended] = run_to_end(Engine({"small": small_mixture()}), [again])  # a model that spoils nothing
    assert [image.index for image in ended.images] == [1, 2] and same(ended, expected)


def spoiling(model: Failing) -> Any:
    """The first row of class 3 of each batch, once t is below 600 for the first time."""
    poisoned = poison(3, model)
    spoilt: list[Branch] = []

    def fault(branches: Sequence[Branch], outputs: list[torch.Tensor]) -> None:
        for branch, output in zip(branches, outputs, strict=True):
            if poisoned(branch) and branch.level.t < 600 and not spoilt:
                output.fill_(torch.nan)
                spoilt.append(branch)

    return fault


def test_an_inversion_is_begun_anew(engine: Engine, make_task: MakeTask) -> None:
    source = {"image": data_url(encode(np.full((4, 4, 3), 99, np.uint8), "png")), "label": 1, "weight": 1.0}
    [expected] = run_to_end(Engine(engine.models), [make_task(source=source)])
    [(nothing, _)] = cut(Engine(engine.models), [make_task(source=source)], 2)
    [(states, _)] = cut(Engine(engine.models), [make_task(source=source)], 6)
    assert nothing is None and states is not None
    again = make_task(source=source)
    again.resumes = states
    assert same(run_to_end(engine, [again])[0], expected)


def test_a_checkpoint_comes_as_often_as_it_is_taken(engine: Engine, make_task: MakeTask) -> None:
    task = make_task(sampler={"type": "ddim", "steps": 20})
    task.checkpoint_seconds = ALWAYS
    engine.submit(task)
    for _ in range(3):
        engine.tick()
    [first] = [update for update in updates(task) if isinstance(update, Checkpoint)]
    first.taken.set()
    engine.tick()
    assert [type(update) for update in updates(task)] == [Progress, Checkpoint]


def test_none_comes_where_it_is_off_or_too_large(engine: Engine, make_task: MakeTask) -> None:
    off, large = make_task("off"), make_task("large")
    large.checkpoint_seconds, large.checkpoint_bytes = ALWAYS, 1000
    for task in (off, large):
        engine.submit(task)
    engine.stop()
    engine.run()
    for task in (off, large):
        assert {type(update) for update in updates(task)} == {Progress, Outcome}


@pytest.mark.parametrize("states", [[], [{"calls_done": 1}], [3], {"sample": torch.ones(3)}], ids=repr)
def test_a_checkpoint_that_does_not_fit_is_passed_over(states: Any, engine: Engine, make_task: MakeTask) -> None:
    [expected] = run_to_end(Engine(engine.models), [make_task()])
    task = make_task()
    task.resumes = Packed.of(states)
    assert same(run_to_end(engine, [task])[0], expected)


@pytest.mark.parametrize("guidance", GUIDANCES[:2])
def test_one_of_another_shape_is_passed_over(guidance: dict[str, Any], engine: Engine, make_task: MakeTask) -> None:
    [(states, _)] = cut(Engine(engine.models), [make_task(guidance=guidance)], 2)
    assert states is not None
    [state] = states.unpacked(torch.device("cpu"))
    task = make_task(guidance=guidance)
    task.resumes = Packed.of([state | {"sample": torch.zeros(1, 3, 8, 8)}])
    [expected] = run_to_end(Engine(engine.models), [make_task(guidance=guidance)])
    assert same(run_to_end(engine, [task])[0], expected)
