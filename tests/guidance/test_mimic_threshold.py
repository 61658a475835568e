"""Mimic thresholding against its formula, written out sample by sample and channel by channel."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from guidance.corrections import MimicThreshold
from guidance.prediction import Kind, Prediction
from guidance.protocol import drive
from guidance.samplers import DDIM
from guidance.spec import GuidanceSpec
from tests.guidance.steps import a_step, noise, prediction
from tests.guidance.strategies import LAW, drawn
from tests.oracles import Pair

kinds = st.sampled_from(get_args(Kind))
COND, UNCOND = noise(1), noise(2)
ROWS = noise(1, (3, 2, 3, 4)), noise(2, (3, 2, 3, 4))


def at(weight: float, cond: Tensor = COND, uncond: Tensor = UNCOND) -> Tensor:
    return uncond + weight * (cond - uncond)


def thresholded(
    correction: MimicThreshold, weight: float, cond: Tensor = COND, uncond: Tensor = UNCOND, kind: Kind = "denoised"
) -> Tensor:
    """The denoised estimate, with branches and guided prediction given as denoised estimates."""
    step = a_step(x=noise(0, cond.shape))

    def said(denoised: Tensor) -> Prediction:
        before = prediction(denoised, "denoised", step=step)
        return Prediction(before.x, before.level, before.view(kind), kind)

    seen = {"cond": said(cond), "uncond": said(uncond)}
    return correction.correct(said(at(weight, cond, uncond)), seen, step).denoised


@LAW
@given(data=st.data(), weight=st.floats(-10, 30), kind=kinds)
def test_at_the_mimicked_weight_and_percentile_1_it_is_the_identity(
    data: st.DataObject, weight: float, kind: Kind
) -> None:
    correction = data.draw(drawn(MimicThreshold, weight=weight, percentile=1.0))
    torch.testing.assert_close(thresholded(correction, weight, kind=kind), at(weight), rtol=1e-12, atol=1e-11)


@LAW
@given(data=st.data(), weight=st.floats(-10, 30))
def test_at_phi_0_it_is_the_identity(data: st.DataObject, weight: float) -> None:
    correction = data.draw(drawn(MimicThreshold, phi=0.0))
    torch.testing.assert_close(thresholded(correction, weight), at(weight), rtol=0, atol=1e-13)


@LAW
@given(data=st.data(), weight=st.floats(0, 30), mimicked=st.floats(0, 30))
def test_it_is_its_formula(data: st.DataObject, weight: float, mimicked: float) -> None:
    correction = data.draw(drawn(MimicThreshold, weight=mimicked, percentile=data.draw(st.floats(0.5, 1))))
    cond, uncond = ROWS
    after = thresholded(correction, weight, cond, uncond)
    expected = written_out(correction, at(weight, *ROWS).numpy(), at(mimicked, *ROWS).numpy())
    np.testing.assert_allclose(after.numpy(), expected, rtol=1e-10, atol=1e-10)


@LAW
@given(percentile=st.floats(0.01, 1), phi=st.floats(0, 1))
def test_below_the_mimicked_spread_nothing_is_stretched(percentile: float, phi: float) -> None:
    """Kept means, absolute deviation: at a weight lower than the mimicked one, the estimate stays."""
    correction = MimicThreshold(weight=20, percentile=percentile, phi=phi)
    torch.testing.assert_close(thresholded(correction, 1.5), at(1.5), rtol=0, atol=1e-12)


@LAW
@given(data=st.data(), weight=st.floats(8, 30))
def test_above_it_each_channel_keeps_its_mean_and_has_the_mimicked_spread(data: st.DataObject, weight: float) -> None:
    correction = MimicThreshold(weight=2, percentile=data.draw(st.floats(0.9, 1)))
    after, mimic = (value - value.mean((2, 3), keepdim=True) for value in (thresholded(correction, weight), at(2)))
    spread = after.flatten(2).abs().amax(2)
    assert (spread <= 2 * mimic.flatten(2).abs().amax(2)).all()  # clipped: its mean has moved a little
    if correction.percentile == 1:
        torch.testing.assert_close(spread, mimic.flatten(2).abs().amax(2))


@pytest.mark.parametrize("start", ["mean", "zero"])
@pytest.mark.parametrize("measure", ["ad", "std"])
@pytest.mark.parametrize("value", [0.0, 0.1, 7.0])
def test_a_constant_stays(start: Any, measure: Any, value: float) -> None:
    """It has no spread to match but that of rounding."""
    correction, constant = MimicThreshold(start=start, measure=measure), torch.full_like(COND, value)
    seen = {"cond": prediction(COND, "denoised"), "uncond": prediction(UNCOND, "denoised")}
    after = correction.correct(prediction(constant, "denoised"), seen, a_step()).denoised
    torch.testing.assert_close(after, constant, rtol=1e-12, atol=1e-12)


def test_where_guidance_is_off_it_changes_nothing_and_asks_for_nothing() -> None:
    """Outside an interval there is no unconditional prediction to mimic another weight with."""
    fields = {"schedule": {"type": "interval", "weight": 9, "sigma_low": 0.3, "sigma_high": 3}}
    spec = GuidanceSpec.model_validate(fields | {"correction": [{"type": "mimic_threshold", "weight": 2}]})
    trajectory = Pair().trajectory(spec, DDIM(steps=8))
    drive(trajectory.run(), trajectory.model.evaluate)
    assert trajectory.nfe_done == trajectory.plan.nfe < 16
    thresholds = trajectory.diagnostics.columns()["threshold"]
    assert [value is not None for value in thresholds] == [call.weight is not None for call in trajectory.plan.calls]


def test_its_branches_are_evaluated_where_the_weight_needs_only_one() -> None:
    fields = {"schedule": {"type": "constant", "weight": 1}, "correction": [{"type": "mimic_threshold"}]}
    assert Pair().trajectory(GuidanceSpec.model_validate(fields), DDIM(steps=5)).plan.nfe == 10


def written_out(correction: MimicThreshold, target: Any, mimic: Any) -> Any:
    """The extension's steps, for one sample at a time (where it takes one spread, it takes it over the batch)."""
    result = np.empty_like(target)
    for row in range(len(target)):
        t, m = target[row], mimic[row]
        mean = t.mean((1, 2), keepdims=True)
        t_centred, m_centred = t - mean, m - m.mean((1, 2), keepdims=True)
        axes = (1, 2) if correction.per_channel else (0, 1, 2)
        if correction.measure == "std":
            r_m, r_t = (value.std(axes, ddof=1, keepdims=True) for value in (m_centred, t_centred))
        else:
            r_m = np.abs(m_centred).max(axes, keepdims=True)
            r_t = np.quantile(np.abs(t_centred), correction.percentile, axes, keepdims=True)
        if correction.start == "zero":
            value = t * r_m / r_t
        elif correction.measure == "std":
            value = mean + t_centred / r_t * r_m
        else:
            largest = np.maximum(r_m, r_t)
            value = mean + np.clip(t_centred, -largest, largest) / largest * r_m
        result[row] = correction.phi * value + (1 - correction.phi) * t
    return result
