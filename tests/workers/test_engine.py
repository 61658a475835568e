"""The engine must give every request what it would get alone, whatever happens to its neighbours."""

from __future__ import annotations

import random
import time
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guidance.models.base import to_bytes
from guidance.protocol import Conditions, drive
from guidance.trajectory import Trajectory
from tests.workers.conftest import Failing, MakeTask, outcome, poison, run_to_end, small_mixture, updates
from workers.engine import LOOK_TICKS, Engine
from workers.task import Preview, Progress, Task

SAMPLERS = ["ddim", "ddpm", "dpmpp_2m", "euler", "euler_ancestral", "heun", "lms", "unipc"]
GUIDANCES: list[dict[str, Any]] = [
    {},
    {"schedule": {"type": "interval", "weight": 3, "sigma_low": 0.5, "sigma_high": 4}},
    {"preset": "t_norm_cosine"},
    {"preset": "base_norm_warmup_cosine"},
    {"schedule": {"type": "linear", "weight": 2}, "correction": [{"type": "rescale"}, {"type": "dynamic_threshold"}]},
    {"schedule": {"type": "constant", "weight": 1}},
]

requests = st.fixed_dictionaries(
    {
        "label": st.integers(0, 3),
        "seed": st.integers(0, 1000),
        "n": st.integers(1, 3),
        "sampler": st.fixed_dictionaries({"type": st.sampled_from(SAMPLERS), "steps": st.integers(2, 6)}),
        "guidance": st.sampled_from(GUIDANCES),
    }
)


def alone(task: Task) -> list[np.ndarray[Any, Any]]:
    """Each image of a request by itself, by the reference driver."""
    request, model = task.request, small_mixture()
    assert request.seed is not None and request.label is not None
    conditions = Conditions(model.label(request.label), model.encode(None))
    images = []
    for seed in range(request.seed, request.seed + request.n):
        trajectory = Trajectory(model, request.guidance, request.sampler, conditions, model.shape(4, 4), seed)
        images.append(to_bytes(model.decode(drive(trajectory.run(), model.evaluate))))
    return images


@given(bodies=st.lists(requests, min_size=1, max_size=5), rows=st.integers(1, 16), arrivals=st.randoms())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mixed_batch_gives_each_request_the_bytes_it_gets_alone(
    bodies: list[dict[str, Any]], rows: int, arrivals: random.Random, make_task: MakeTask
) -> None:
    engine = Engine({"small": small_mixture()}, max_batch_rows=rows)
    tasks = [make_task(str(k), **body) for k, body in enumerate(bodies)]
    for task in tasks:  # they join while others are under way
        engine.submit(task)
        for _ in range(arrivals.randint(0, 3)):
            engine.tick()
    engine.stop()
    engine.run()
    for task in tasks:
        ended = outcome(task)
        assert ended.status == "succeeded"
        for image, expected in zip(ended.images, alone(task), strict=True):
            assert np.array_equal(image.pixels, expected)


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m", "euler", "euler_ancestral"])
def test_cfgpp_in_a_batch_gives_the_bytes_it_gives_alone(sampler: str, engine: Engine, make_task: MakeTask) -> None:
    """The solver holds what the step before saw: of its own image alone."""
    preset = {"preset": "cfgpp"}
    tasks = [
        make_task(str(seed), seed=seed, n=2, sampler={"type": sampler, "steps": steps}, guidance=guidance)
        for seed, steps, guidance in [(0, 5, preset), (10, 3, preset), (20, 5, {})]
    ]
    for task, ended in zip(tasks, run_to_end(engine, tasks), strict=True):
        for image, expected in zip(ended.images, alone(task), strict=True):
            assert np.array_equal(image.pixels, expected)


def test_image_k_of_seed_s_is_image_0_of_seed_s_plus_k(engine: Engine, make_task: MakeTask) -> None:
    [many, one] = run_to_end(engine, [make_task("many", seed=5, n=3), make_task("one", seed=7)])
    assert [image.seed for image in many.images] == [5, 6, 7]
    assert np.array_equal(many.images[2].pixels, one.images[0].pixels)


def test_requests_share_forwards(engine: Engine, make_task: MakeTask) -> None:
    run_to_end(engine, [make_task(str(k), seed=k) for k in range(4)])
    assert engine.batcher.totals.forwards == 4  # one a step: four requests of two rows each
    assert engine.batcher.totals.rows == 4 * 8


def test_a_request_out_of_its_interval_gives_its_rows_back(engine: Engine, make_task: MakeTask) -> None:
    off = {"schedule": {"type": "interval", "sigma_low": 100, "sigma_high": 101}}
    [ended] = run_to_end(engine, [make_task(guidance=off)])
    assert ended.usage is not None and ended.usage.nfe == 4
    assert engine.batcher.totals.rows == 4


def test_an_error_stays_with_the_request_that_causes_it(engine: Engine, model: Failing, make_task: MakeTask) -> None:
    poisoned = poison(3, model)

    def fault(branches: Any, outputs: Any) -> None:
        if any(poisoned(branch) for branch in branches):
            raise ValueError("bad row")

    model.fault = fault
    good, bad = make_task("good", label=1), make_task("bad", label=3)
    [kept, failed] = run_to_end(engine, [good, bad])
    assert (failed.status, failed.reason) == ("failed", "internal")
    assert np.array_equal(kept.images[0].pixels, alone(good)[0])


def test_nan_stays_with_its_request_and_names_the_step(engine: Engine, model: Failing, make_task: MakeTask) -> None:
    poisoned = poison(3, model)

    def fault(branches: Any, outputs: Any) -> None:
        for branch, output in zip(branches, outputs, strict=True):
            if poisoned(branch) and branch.level.t < 600:
                output.fill_(torch.nan)

    model.fault = fault
    good, bad = make_task("good", label=1), make_task("bad", label=3)
    [kept, failed] = run_to_end(engine, [good, bad])
    assert (failed.status, failed.reason) == ("failed", "non_finite")
    assert failed.detail == "image 0 (seed 0) became NaN or infinite at step 2"
    assert np.array_equal(kept.images[0].pixels, alone(good)[0])


@pytest.mark.parametrize("detail", ["off", "summary", "full"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_an_image_that_is_lost_takes_no_other_of_its_request_along(
    engine: Engine, model: Failing, make_task: MakeTask, detail: str, value: float
) -> None:
    """The others are those that they would be; the lost one is named at every detail, and asks for nothing more."""
    poisoned = poison(3, model)

    def fault(branches: Any, outputs: Any) -> None:
        """The second image of three, whose rows follow each other."""
        rows = [output for branch, output in zip(branches, outputs, strict=True) if poisoned(branch)]
        if len(rows) == 3 and branches[0].level.t < 900:
            rows[1].fill_(value)

    model.fault = fault
    body = {"label": 3, "n": 3, "seed": 5, "sampler": {"type": "ddim", "steps": 24}, "diagnostics": detail}
    task, neighbour = make_task("some", **body), make_task("neighbour", label=1, sampler=body["sampler"])
    [ended, kept] = run_to_end(engine, [task, neighbour])
    assert (ended.status, ended.reason) == ("failed", "non_finite")
    assert ended.detail == "image 1 (seed 6) became NaN or infinite at step 3"
    assert [image.index for image in ended.images] == [0, 2]
    for image in ended.images:
        assert np.array_equal(image.pixels, alone(task)[image.index])
    assert np.array_equal(kept.images[0].pixels, alone(neighbour)[0])
    assert ended.usage is not None and ended.usage.nfe < 2 * 24 * 2 + 2 * (3 + 2 * LOOK_TICKS + 1)


def test_a_batch_too_large_for_the_device_is_split(engine: Engine, model: Failing, make_task: MakeTask) -> None:
    def fault(branches: Any, outputs: Any) -> None:
        if len(branches) > 2:
            raise torch.OutOfMemoryError("no room")

    model.fault = fault
    tasks = [make_task(str(k), seed=k) for k in range(4)]
    ended = run_to_end(engine, tasks)
    assert [one.status for one in ended] == ["succeeded"] * 4
    assert engine.batcher.room.rows == 2  # learnt once, not tried again at every tick
    assert engine.batcher.totals.splits <= 3
    assert np.array_equal(ended[3].images[0].pixels, alone(tasks[3])[0])


def test_a_row_too_large_for_the_device_fails_alone(engine: Engine, model: Failing, make_task: MakeTask) -> None:
    poisoned = poison(3, model)

    def fault(branches: Any, outputs: Any) -> None:
        if any(poisoned(branch) for branch in branches):
            raise torch.OutOfMemoryError("no room")

    model.fault = fault
    good = make_task("good")
    [kept, failed] = run_to_end(engine, [good, make_task("bad", label=3)])
    assert (kept.status, failed.status, failed.reason) == ("succeeded", "failed", "out_of_memory")
    assert engine.batcher.room.rows == 8  # their number is not at fault
    assert np.array_equal(kept.images[0].pixels, alone(good)[0])


def test_a_canceled_request_leaves_within_a_tick(engine: Engine, make_task: MakeTask) -> None:
    stays, leaves = make_task("stays", seed=1), make_task("leaves", seed=2)
    engine.submit(stays)
    engine.submit(leaves)
    engine.tick()
    leaves.canceled.set()
    rows = engine.batcher.totals.rows
    engine.tick()
    assert engine.batcher.totals.rows == rows + 2  # only the other's
    assert (ended := outcome(leaves)).status == "canceled" and ended.reason == "user"
    run_to_end(engine, [])
    assert np.array_equal(outcome(stays).images[0].pixels, alone(stays)[0])


def test_a_request_past_its_deadline_fails(engine: Engine, make_task: MakeTask) -> None:
    [late, kept] = run_to_end(engine, [make_task("late", deadline=time.monotonic() - 1), make_task("kept")])
    assert (late.status, late.reason, kept.status) == ("failed", "deadline", "succeeded")


def test_progress_counts_every_step_and_evaluation(engine: Engine, make_task: MakeTask) -> None:
    task = make_task(n=2)
    engine.submit(task)
    engine.stop()
    engine.run()
    *progress, _ = updates(task)
    assert progress == [Progress(step, 4, 4 * step, 16) for step in (1, 2, 3, 4)]


def test_previews_come_between_the_steps(engine: Engine, make_task: MakeTask) -> None:
    task = make_task(n=2, sampler={"type": "ddim", "steps": 9}, output={"previews": 2})
    engine.submit(task)
    engine.stop()
    engine.run()
    previews = [update for update in updates(task) if isinstance(update, Preview)]
    assert [(one.step, one.index) for one in previews] == [(3, 0), (3, 1), (6, 0), (6, 1)]
    assert previews[0].pixels.shape == (4, 4, 3)


@pytest.mark.parametrize("detail", ["off", "summary", "full"])
def test_diagnostics_do_not_change_the_picture(engine: Engine, make_task: MakeTask, detail: str) -> None:
    task = make_task(diagnostics=detail)
    [ended] = run_to_end(engine, [task])
    assert np.array_equal(ended.images[0].pixels, alone(task)[0])
    assert bool(ended.images[0].columns) == (detail != "off")
