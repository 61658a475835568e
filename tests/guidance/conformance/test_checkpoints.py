"""A trajectory that is cut at any call, written down and begun again elsewhere ends as if nothing had been."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance.checkpoint import Packed
from guidance.info import solver_reasons
from guidance.models.base import Model
from guidance.models.stable_diffusion import StableDiffusion
from guidance.prompted import Wanted
from guidance.protocol import Condition, Conditions
from guidance.registry import UNIONS, members
from guidance.samplers import DDIM, DDPM, Euler, EulerAncestral, Heun, Sampler
from guidance.spec import GuidanceSpec
from guidance.stage import Stage
from guidance.trajectory import Trajectory
from tests.guidance.steps import noise
from tests.guidance.strategies import FEW, LOSSES, plain, runs
from tests.oracles import Pair

GAUSSIANS = Pair().model()
INSIDE = {"attention", "condition_embedding", "time_embedding"}
"""Capabilities that only a network has."""
EVERYWHERE: dict[str, dict[str, Any]] = {
    "adaptive": {"threshold": 0.5},
    "cache": {"start": 0.0},
    "cads": {"tau1": 0.0, "tau2": 1.0, "apply_to": "both"},
    "sega": {"concepts": [{"prompt": "a star", "warmup": 0.0}]},
    "swap": {"changes": [{"prompt": "a star", "at": 0.3}], "fade": 0.5},
    "time_travel": {"repeats": 2, "low": 0.0, "high": 1.0},
    "characteristic": {"max_iterations": 3},
}
"""Settings by which a method acts at the few steps of a test, where it would not by itself."""
SAMPLERS: list[Sampler] = [Heun(steps=3), EulerAncestral(steps=4), DDPM(steps=4), Euler(steps=4), DDIM(steps=4)]
NOT_ALONE = {"sampler", "loss", "schedule"}
METHODS = [(stage, method) for stage in UNIONS if stage not in NOT_ALONE for method in members(stage)]


def spec(stage: str, method: type[Stage]) -> GuidanceSpec:
    one = plain(method).model_dump() | EVERYWHERE.get(method.type_name(), {})
    single = stage in ("combiner", "travel", "reuse")
    return GuidanceSpec.model_validate({stage: one if single else [one]})


def trajectory(model: Model, guidance: GuidanceSpec, sampler: Sampler) -> Trajectory:
    """With embeddings, which Gaussians do not read, and every number and picture."""
    shape = model.shape(model.info.width, model.info.height)
    if isinstance(model, StableDiffusion):
        others: dict[Wanted, Condition] = {told: model.encode(str(told)) for told in guidance.wanted}
        conditions = Conditions(model.encode("a square"), model.encode(None), others)
    else:
        cond, uncond, other = (Condition({"text": noise(9 + k, (1, 3, 4))}, model.label(k % 2).given) for k in range(3))
        conditions = Conditions(cond, uncond, dict.fromkeys(guidance.wanted, other))
    return Trajectory(model, guidance, sampler, conditions, shape, 5, "full")  # type: ignore[arg-type]


def driven(trajectory: Trajectory, look: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """All that comes of it; `look` is called at each of its questions."""
    run, model = trajectory.run(), trajectory.model
    try:
        with torch.no_grad():
            branches = next(run)
            while True:
                look()
                branches = run.send(model.evaluate(branches))
    except StopIteration as done:
        look()
        pictures = {
            name: [(one.step, one.sigma, one.cells.tobytes(), one.names) for one in frames]
            for name, frames in trajectory.diagnostics.pictures().items()
        }
        numbers = {"nfe": trajectory.nfe_done, "steps": trajectory.steps_done} | trajectory.diagnostics.columns()
        return {"sample": done.value.numpy().tobytes(), **pictures, **numbers}


def cut_anywhere(begun: Callable[[], Trajectory]) -> None:
    first, written = begun(), dict[int, bytes]()

    def look() -> None:
        """At the last question of each call: what happened within it must not be seen."""
        if state := first.state():
            written[first.calls_done] = Packed.of(state).to_bytes("this")

    undisturbed = driven(first, look)
    assert written.keys() == set(range(1, len(first.plan.calls) + 1))
    for data in written.values():
        again = begun()
        again.restore(Packed.from_bytes(data, "this").unpacked(again.model.device))
        ended = driven(again)
        assert [name for name in undisturbed.keys() | ended.keys() if undisturbed.get(name) != ended.get(name)] == []


@cache
def network(folder: Path) -> StableDiffusion:
    return StableDiffusion.load(folder, "tiny", torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(("stage", "method"), METHODS, ids=lambda part: getattr(part, "type_name", lambda: part)())
def test_a_method_goes_on_where_it_was(stage: str, method: type[Stage], folder: Path) -> None:
    guidance = spec(stage, method)
    model = network(folder) if INSIDE & method.requires else GAUSSIANS
    able = [sampler for sampler in SAMPLERS if not solver_reasons(guidance, sampler)]  # type: ignore[arg-type]
    for sampler in able[:2] if model is GAUSSIANS else able[:1]:
        cut_anywhere(lambda sampler=sampler: trajectory(model, guidance, sampler))  # type: ignore[misc]


ONCE_AND_TAKEN_BACK = [
    pytest.param(method, travels, id=f"{method.type_name()}-{'with_time_travel' if travels else 'once'}")
    for method in members("sampler")
    for travels in (False, True)
    if issubclass(method, Sampler) and (method.movable or not travels)
]


@pytest.mark.parametrize(("method", "travels"), ONCE_AND_TAKEN_BACK)
def test_a_sampler_goes_on_where_it_was(method: type[Sampler], travels: bool) -> None:
    travel = {"type": "time_travel", **EVERYWHERE["time_travel"]} if travels else None
    guidance = GuidanceSpec.model_validate({"travel": travel, "correction": [{"type": "momentum"}]})
    cut_anywhere(lambda: trajectory(GAUSSIANS, guidance, method(steps=5)))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss["type"])
def test_a_loss_goes_on_where_it_was(loss: dict[str, Any]) -> None:
    guidance = GuidanceSpec.model_validate({"energy": [{"type": "universal", "losses": [loss]}]})
    cut_anywhere(lambda: trajectory(GAUSSIANS, guidance, DDPM(steps=3)))


@FEW
@given(run=runs(st.integers(2, 4), GAUSSIANS.info.capabilities))
def test_any_spec_goes_on_where_it_was(run: tuple[GuidanceSpec, Sampler]) -> None:
    cut_anywhere(lambda: trajectory(GAUSSIANS, *run))
