"""What a worker learns of its speed, and what it makes of that for what runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from guidance.noise import Level
from guidance.protocol import Branch
from jobs.cost import work
from jobs.presence import live_workers
from jobs.settings import Settings
from jobs.store import JobStore
from tests.workers.conftest import Failing, MakeTask, run_to_end
from workers.engine import Engine
from workers.express import Express
from workers.forecast import Forecast
from workers.meter import Line, Meter
from workers.runtime import Runtime
from workers.watch import Watch

FORWARD, ROW = 2.0, 0.5


def a_line(sizes: list[int], slower: float = 1.0, line: Line | None = None) -> Line:
    """One that has seen exact ticks of so many rows."""
    line = line or Line()
    for rows in sizes:
        forwards, evaluated = map(float, work(rows, 16))
        line.observe((forwards, evaluated), slower * (FORWARD * forwards + ROW * evaluated))
    return line


def a_branch(model: Failing) -> Branch:
    return Branch("cond", torch.zeros(model.shape(4, 4)), Level.variance_preserving(1.0, 1.0), model.label(0))


def test_ticks_of_several_sizes_tell_forwards_and_rows_apart() -> None:
    assert a_line([2, 8, 16, 2, 24, 3] * 4).slopes == pytest.approx([FORWARD, ROW], rel=1e-3)


def test_the_first_tick_warms_up_and_does_not_count() -> None:
    line = Line()
    line.observe((1, 2), 1000.0)
    assert line.slopes is None
    assert a_line([2, 8, 16, 2, 24, 3] * 4, line=line).slopes == pytest.approx([FORWARD, ROW], rel=1e-3)


def test_where_all_ticks_are_of_one_size_full_batches_are_taken_to_be_no_cheaper() -> None:
    slopes = a_line([2] * 20).slopes
    assert slopes is not None
    assert slopes[0] == pytest.approx(0, abs=1e-3)
    assert slopes[1] == pytest.approx((FORWARD + 2 * ROW) / 2, rel=1e-3)


def test_a_machine_that_slows_down_is_soon_believed() -> None:
    line = a_line([2, 8, 16, 2, 24, 3] * 80)
    slower = a_line([8, 16, 3] * 20, slower=2, line=line).slopes
    assert slower is not None
    for rows in (3, 8, 16):
        assert slower[0] + rows * slower[1] == pytest.approx(2 * (FORWARD + rows * ROW), rel=0.15)


def test_nothing_is_measured_to_take_less_than_no_time() -> None:
    line = Line()
    for rows, seconds in ((2, 1.0), (2, 1.0), (16, 16.0), (2, 1.0)):  # a forward would take -1.1
        line.observe((1, rows), seconds)
    assert line.slopes is not None and min(line.slopes) >= 0


def test_an_engine_learns_its_pace_by_model_and_size_of_image(engine: Engine, make_task: MakeTask) -> None:
    assert engine.meter.paces() == []
    run_to_end(engine, [make_task(n=n) for n in (1, 2)])
    [pace] = engine.meter.paces()
    assert (pace.model, pace.pixels, pace.most) == ("small", 16, 8)
    assert pace.seconds(8) > 0


def test_a_tick_of_several_models_is_shared_out_as_they_are_expected(model: Failing) -> None:
    other = Failing(model.means, model.stds, id="other")
    meter = Meter({"small": model, "other": other}, Engine({}, 8).batcher.room)
    branch = a_branch(model)
    for _ in range(20):
        meter.tick([(model, branch)] * 2, [], 1.0)
        meter.tick([(other, branch)] * 2, [], 3.0)
    for _ in range(100):
        meter.tick([(model, branch)] * 2 + [(other, branch)] * 2, [], 8.0)
    other_pace, pace = meter.paces()
    assert (other_pace.model, pace.model) == ("other", "small")
    assert [float(found.seconds(2)) for found in (pace, other_pace)] == pytest.approx([2, 6], rel=0.05)


def test_rows_that_ask_for_gradients_do_not_pass_for_others(model: Failing) -> None:
    meter, branch = Meter({"small": model}, Engine({}, 8).batcher.room), a_branch(model)
    for _ in range(10):
        meter.tick([(model, branch)] * 2, [], 1.0)
        meter.tick([(model, replace(branch, pull=branch.x))] * 2, [], 9.0)
    [pace] = meter.paces()
    assert pace.seconds(2) == pytest.approx(1.0)


def test_encoding_and_storing_are_part_of_an_image(engine: Engine, make_task: MakeTask) -> None:
    task = make_task()
    run_to_end(engine, [task])
    [before] = engine.meter.paces()
    engine.meter.kept(task.request, images=2, seconds=3.0)
    [after] = engine.meter.paces()
    assert after.image == before.image + 1.5
    engine.meter.kept(task.request, images=0, seconds=3.0)
    assert engine.meter.paces() == [after]


def test_a_forecast_is_what_is_to_come_of_all_that_runs(engine: Engine, make_task: MakeTask) -> None:
    forecast = Forecast(engine)
    assert forecast.left("short") is None and forecast.remaining() == 0
    engine.submit(make_task("short"))
    engine.submit(make_task("long", n=2, sampler={"type": "ddim", "steps": 7}))
    for _ in range(2):  # the first warms up
        engine.tick()
    [pace] = engine.meter.paces()
    assert forecast.remaining() == 2 * 2 + 2 * 2 * 5
    both, rest = float(pace.seconds(6)), float(pace.seconds(4))
    assert forecast.all_left() == {
        "short": pytest.approx((2 * both + pace.image, 2 * both + pace.image)),
        "long": pytest.approx((2 * both + 3 * rest + 2 * pace.image, 5 * both + 2 * pace.image)),
    }
    assert 0 <= (forecast.left("short") or (-1, 0))[0] <= 2 * both + pace.image
    assert forecast.left("unknown") is None


def test_what_a_method_may_still_save_counts_until_it_has(engine: Engine, make_task: MakeTask) -> None:
    task = make_task(guidance={"reuse": {"type": "adaptive", "threshold": -1}})  # guides at the first step alone
    engine.submit(task)
    forecast = Forecast(engine)
    engine.tick()
    assert forecast.remaining() == 3 * 2
    while task.updates.empty() or engine.flights:
        engine.tick()
    assert forecast.remaining() == 0


def test_what_methods_that_decide_on_the_way_have_spared_is_expected_again(engine: Engine, make_task: MakeTask) -> None:
    sparing = {"reuse": {"type": "adaptive", "threshold": -1}}
    run_to_end(engine, [make_task("sparing", guidance=sparing), make_task("plain")])
    [pace] = engine.meter.paces()
    assert dict(pace.shares) == {"adaptive": (2 + 1 + 1 + 1) / 8}
    assert pace.share("adaptive") == 5 / 8 and pace.share("") == pace.share("characteristic") == 1


@pytest.mark.redis
def test_a_worker_shows_its_pace_and_what_it_has_left_to_do(
    settings: Settings, store: JobStore, model: Failing, make_task: MakeTask
) -> None:
    runtime = Runtime(settings, {"small": model})
    run_to_end(runtime.engine, [make_task()])
    Watch(runtime, Express(runtime)).renew()
    [worker] = [worker for worker in live_workers(store.redis) if worker.id == runtime.worker_id]
    assert list(worker.paces) == runtime.engine.meter.paces()
    assert worker.info["evaluations_left"] == 0
    assert worker.serves(["small"]) and not worker.serves(["small", "other"])
