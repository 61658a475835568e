"""Evaluations left out: what stands for them, and that the plan knows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guidance.plan import plan
from guidance.protocol import drive
from guidance.samplers import DDIM, Heun, Sampler
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.guidance.strategies import LAW
from tests.oracles import Pair, a_trajectory

MODEL = Pair().model()


def spec(reuse: dict[str, Any], **more: Any) -> GuidanceSpec:
    return GuidanceSpec.model_validate({"reuse": reuse} | more)


def sampled(guidance: GuidanceSpec, sampler: Sampler, seed: int = 0) -> tuple[torch.Tensor, Trajectory]:
    trajectory = a_trajectory(MODEL, guidance, sampler, seed)
    return drive(trajectory.run(), MODEL.evaluate), trajectory


@pytest.mark.parametrize(
    "reuse",
    [{"type": "adaptive", "threshold": 1.5}, {"type": "cache", "every": 1}, {"type": "cache", "start": 1}],
    ids=str,
)
@pytest.mark.parametrize("sampler", [DDIM(steps=6), Heun(steps=6)], ids=lambda sampler: sampler.type)
def test_neutral_settings_are_the_pipeline_without_it(reuse: dict[str, Any], sampler: Sampler) -> None:
    plain, without = sampled(GuidanceSpec(), sampler)
    same, trajectory = sampled(spec(reuse), sampler)
    assert torch.equal(plain, same) and trajectory.nfe_done == without.nfe_done


# Castillo et al. 2023, arXiv:2312.12487


def test_adaptive_stops_where_the_predictions_agree() -> None:
    sampler = DDIM(steps=12)
    _, whole = sampled(GuidanceSpec(), sampler)
    cosines = [cosine or 0.0 for cosine in whole.diagnostics.columns()["cosine"]]
    threshold = sorted(cosines)[3]
    _, trajectory = sampled(spec({"type": "adaptive", "threshold": threshold}), sampler)
    stop = next(index for index, cosine in enumerate(cosines) if cosine >= threshold)
    assert trajectory.diagnostics.columns()["nfe"] == [2] * (stop + 1) + [1] * (11 - stop)
    assert trajectory.nfe_done < trajectory.plan.nfe == 24


def test_adaptive_decides_once_a_step() -> None:
    _, trajectory = sampled(spec({"type": "adaptive", "threshold": -1}), Heun(steps=3))
    assert trajectory.diagnostics.columns()["nfe"] == [2, 1, 1, 1, 1]


def test_adaptive_at_minus_1_is_one_step_of_cfg_and_then_the_conditional_model() -> None:
    """Any cosine suffices: bit for bit the schedule that says so."""
    at_once, _ = sampled(spec({"type": "adaptive", "threshold": -1}), DDIM(steps=6))
    weights = {"type": "per_step", "weights": [5.0] + [None] * 5}
    expected, _ = sampled(GuidanceSpec.model_validate({"schedule": weights}), DDIM(steps=6))
    assert torch.equal(at_once, expected)


# Guidance cache


def test_the_cache_reuses_the_last_difference() -> None:
    """Two steps, the second reused: its guided noise is c + (w - 1) (c - u of the first)."""
    trajectory = a_trajectory(MODEL, spec({"type": "cache", "start": 0, "every": 2}), DDIM(steps=2))
    run = trajectory.run()
    first = next(run)
    cond, uncond = MODEL.evaluate(first)
    [second] = run.send([cond, uncond])
    [later] = MODEL.evaluate([second])
    with pytest.raises(StopIteration):
        run.send([later])
    assert trajectory.guided is not None
    torch.testing.assert_close(trajectory.guided.eps, later + 4.0 * (cond - uncond), rtol=1e-12, atol=1e-12)


@LAW
@given(st.integers(2, 20), st.integers(1, 6), st.floats(0, 1), st.sampled_from([0.0, 1.0, 5.0]))
def test_the_plan_counts_what_the_cache_leaves(steps: int, every: int, start: float, weight: float) -> None:
    schedule, cache = {"type": "constant", "weight": weight}, {"type": "cache", "start": start, "every": every}
    _, trajectory = sampled(spec(cache, schedule=schedule), DDIM(steps=steps))
    assert trajectory.nfe_done == trajectory.plan.nfe


def test_a_third_of_the_steps_is_whole_and_then_every_other() -> None:
    calls = plan(spec({"type": "cache"}), DDIM(steps=10), MODEL.info).calls
    assert [call.nfe for call in calls] == [2, 2, 2, 2, 1, 2, 1, 2, 1, 2]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"combiner": {"type": "apg"}}, "cache is defined for cfg, not for apg"),
        ({"correction": [{"type": "mimic_threshold"}]}, "leaves out the unconditional prediction"),
        ({"condition": [{"type": "swap", "changes": [{"label": 1}]}]}, "before swap changes it"),
    ],
)
def test_what_reads_or_changes_what_is_left_out_is_refused(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        spec({"type": "cache"}, **more)
