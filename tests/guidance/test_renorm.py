"""Renormalisation against what the pipelines and nodes that it comes from compute."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from guidance.corrections import Renorm
from guidance.prediction import Kind, Prediction
from guidance.spec import GuidanceSpec
from tests.guidance.steps import a_step, noise, prediction
from tests.guidance.strategies import LAW, drawn

kinds = st.sampled_from(get_args(Kind))
COND = noise(1)
GUIDED = COND * torch.linspace(0.2, 3, COND.numel(), dtype=COND.dtype).view(COND.shape)
"""Longer than the conditional prediction at some pixels, shorter at others."""


def renormed(correction: Renorm, guided: Tensor = GUIDED, cond: Tensor = COND, kind: Kind = "eps") -> Prediction:
    return correction.correct(prediction(guided, kind), {"cond": prediction(cond, kind)}, a_step())


def lengths(correction: Renorm, value: Prediction) -> Tensor:
    view = value.view("output" if correction.space == "model" else correction.space)
    found: Tensor = (view if correction.dims == "channels" else view.flatten(1)).norm(dim=1)
    return found


# What the method's sources say of it


@LAW
@given(data=st.data(), k=st.floats(1, 100), kind=kinds)
def test_at_weight_1_a_cap_of_at_least_1_is_the_identity(data: st.DataObject, k: float, kind: Kind) -> None:
    correction = data.draw(drawn(Renorm, mode="cap", k=k))
    torch.testing.assert_close(renormed(correction, COND, COND, kind).value, COND, rtol=0, atol=1e-13)


@LAW
@given(data=st.data(), kind=kinds)
def test_at_weight_1_a_match_of_1_is_the_identity(data: st.DataObject, kind: Kind) -> None:
    correction = data.draw(drawn(Renorm, mode="match", k=1.0))
    torch.testing.assert_close(renormed(correction, COND, COND, kind).value, COND, rtol=0, atol=1e-13)


@LAW
@given(data=st.data(), kind=kinds)
def test_match_makes_the_lengths_equal(data: st.DataObject, kind: Kind) -> None:
    correction = data.draw(drawn(Renorm, mode="match"))
    after = lengths(correction, renormed(correction, kind=kind))
    expected = correction.k * lengths(correction, prediction(COND, kind))
    torch.testing.assert_close(after, expected, rtol=1e-9, atol=1e-12)


@LAW
@given(data=st.data(), kind=kinds)
def test_cap_never_increases_a_length(data: st.DataObject, kind: Kind) -> None:
    correction = data.draw(drawn(Renorm, mode="cap"))
    after = lengths(correction, renormed(correction, kind=kind))
    before, most = (lengths(correction, prediction(value, kind)) for value in (GUIDED, COND))
    torch.testing.assert_close(after, before.minimum(correction.k * most), rtol=1e-9, atol=1e-12)


# The sources themselves, written out


def test_the_preset_qwen_image_is_the_pipeline_s_line() -> None:
    """There a row is a token with its packed channels; here a pixel with its own."""
    cond, comb = (value.flatten(2).transpose(1, 2) for value in (COND, GUIDED))
    expected = comb * (cond.norm(dim=-1, keepdim=True) / comb.norm(dim=-1, keepdim=True))
    after = renormed(preset("qwen_image")).value.flatten(2).transpose(1, 2)
    torch.testing.assert_close(after, expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
def test_the_preset_z_image_is_the_pipeline_s_line(scale: float) -> None:
    guided = scale * GUIDED
    most, length = torch.linalg.vector_norm(COND), torch.linalg.vector_norm(guided)
    expected = guided * (most / length) if length > most else guided
    torch.testing.assert_close(renormed(preset("z_image"), guided).value, expected, rtol=1e-14, atol=1e-14)


def test_the_preset_of_cfg_norm_is_the_node_s_line() -> None:
    cond, guided = prediction(COND).denoised, prediction(GUIDED).denoised
    scale = (cond.norm(dim=1, keepdim=True) / (guided.norm(dim=1, keepdim=True) + 1e-8)).clamp(0, 1)
    after = renormed(preset("comfyui_cfg_norm")).denoised
    torch.testing.assert_close(after, guided * scale, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("scale", [0.1, 4.0])
def test_the_preset_of_renorm_cfg_is_the_node_s_line(scale: float) -> None:
    """One sample: the node decides for its whole batch."""
    cond, guided = prediction(COND).denoised, scale * prediction(GUIDED).denoised
    most, length = cond.norm(), guided.norm()
    expected = guided * (most / length) if length >= most else guided
    before = prediction(COND).replaced(guided, "denoised")
    after = preset("comfyui_renorm_cfg").correct(before, {"cond": prediction(COND)}, a_step())
    torch.testing.assert_close(after.denoised, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "weight"), [("qwen_image", 4.0), ("z_image", 6.0)], ids=["true_cfg_scale 4", "guidance_scale 5, + 1"]
)
def test_pipeline_presets_have_the_default_weight_of_their_pipeline(name: str, weight: float) -> None:
    schedule = GuidanceSpec(preset=name).schedule
    assert schedule.type == "constant" and schedule.weight == weight


# Corners


@pytest.mark.parametrize("dims", ["sample", "channels"])
def test_a_zero_prediction_stays_zero(dims: Any) -> None:
    assert not renormed(Renorm(dims=dims, mode="match"), torch.zeros_like(COND)).value.any()


def test_half_precision_is_measured_in_single() -> None:
    """The squares of 300 overflow float16."""
    step = a_step(x=noise(0).half())
    cond, guided = (prediction((300 * scale * noise(1)).half(), step=step) for scale in (1, 2))
    after = Renorm(mode="match").correct(guided, {"cond": cond}, step).value
    assert after.dtype == torch.float16
    torch.testing.assert_close(after, cond.value, rtol=2e-3, atol=0)


@pytest.mark.parametrize("other", [{"combiner": {"type": "base_norm"}}, {"correction": [{"type": "rescale"}]}])
def test_two_magnitude_normalisers_are_refused(other: dict[str, list[Any]]) -> None:
    with pytest.raises(ValidationError, match="both set the length of the prediction"):
        GuidanceSpec.model_validate(other | {"correction": [*other.get("correction", []), {"type": "renorm"}]})


def preset(name: str) -> Renorm:
    [correction] = GuidanceSpec(preset=name).correction
    assert isinstance(correction, Renorm)
    return correction
