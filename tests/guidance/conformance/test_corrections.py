"""What every correction must do, whatever its formula."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance.corrections import Correction
from guidance.prediction import Kind, Prediction
from guidance.registry import members
from tests.guidance.steps import a_step, noise, prediction
from tests.guidance.strategies import LAW, drawn

ALL: list[type[Correction]] = [method for method in members("correction") if issubclass(method, Correction)]
every_correction = pytest.mark.parametrize("method", ALL, ids=lambda method: method.type_name())
kinds = st.sampled_from(get_args(Kind))

NEUTRAL: dict[str, dict[str, Any]] = {
    "dynamic_threshold": {"bound": 1e3},
    "mimic_threshold": {"phi": 0},
    "momentum": {"strength": 0},
    "renorm": {"mode": "cap", "k": 100},
    "rescale": {"phi": 0},
    "static_threshold": {"bound": 1e3},
    "tag": {"tangential": 1, "radial": 1},
}
"""A setting of each correction at which it changes nothing."""


def corrected(correction: Correction, guided: Prediction, **seen: Prediction) -> Prediction:
    return correction.correct(guided, seen, a_step())


@every_correction
@LAW
@given(data=st.data(), kind=kinds)
def test_neutral_setting_changes_nothing(method: type[Correction], data: st.DataObject, kind: Kind) -> None:
    guided, cond, uncond = (prediction(noise(seed), kind) for seed in (1, 2, 3))
    correction = data.draw(drawn(method, **NEUTRAL[method.type_name()], **_no_maximum(method)))
    after = corrected(correction, guided, cond=cond, uncond=uncond)
    torch.testing.assert_close(after.value, guided.value, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    "method", [m for m in ALL if not m.pushes_without_signal], ids=lambda method: method.type_name()
)
@LAW
@given(data=st.data(), kind=kinds)
def test_no_signal_no_push(method: type[Correction], data: st.DataObject, kind: Kind) -> None:
    same = prediction(noise(1), kind)
    after = corrected(data.draw(drawn(method)), same, cond=same, uncond=same)
    torch.testing.assert_close(after.value, same.value, rtol=0, atol=1e-13)


@every_correction
@LAW
@given(data=st.data(), kind=kinds, dtype=st.sampled_from([torch.float32, torch.float64]))
def test_shape_dtype_kind_and_level_are_kept_and_values_finite(
    method: type[Correction], data: st.DataObject, kind: Kind, dtype: torch.dtype
) -> None:
    correction, zero = data.draw(drawn(method)), torch.zeros_like(noise(0, dtype=dtype))
    step = a_step(x=noise(0, dtype=dtype))
    for guided, cond in ((zero, zero), (zero, noise(1, dtype=dtype)), (noise(2, dtype=dtype), zero)):
        before = prediction(guided, kind, step=step)
        others = {"cond": prediction(cond, kind, step=step), "uncond": prediction(-guided, kind, step=step)}
        after = corrected(correction, before, **others)
        assert (after.value.shape, after.value.dtype, after.kind) == (zero.shape, dtype, kind)
        assert after.x is before.x and after.level is before.level
        assert after.value.isfinite().all()


@every_correction
@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_half_precision_comes_back_near_what_double_says(
    method: type[Correction], dtype: torch.dtype, rounding: float
) -> None:
    """4096 values, whose squares add up beyond float16's range where that is summed in it."""
    correction, values = method(), [5 * noise(seed, (1, 4, 32, 32)).to(dtype) for seed in range(4)]

    def told(x: torch.Tensor, *said: torch.Tensor) -> torch.Tensor:
        guided, cond, uncond = (_said(x, value, "eps") for value in said)
        return corrected(correction, guided, cond=cond, uncond=uncond).value

    half, double = told(*values), told(*(value.double() for value in values))
    assert half.dtype == dtype and half.isfinite().all()
    assert float((half.double() - double).norm() / double.norm()) < rounding


@every_correction
@LAW
@given(data=st.data(), kind=kinds)
def test_is_pure(method: type[Correction], data: st.DataObject, kind: Kind) -> None:
    correction = data.draw(drawn(method))
    guided, cond, uncond = (prediction(noise(seed), kind) for seed in (1, 2, 3))
    before = correction.model_copy(deep=True)
    first, second = (corrected(correction, guided, cond=cond, uncond=uncond).value for _ in range(2))
    assert torch.equal(first, second) and correction == before
    assert torch.equal(guided.value, noise(1)) and torch.equal(cond.value, noise(2))
    assert torch.equal(guided.x, noise(0))


@every_correction
@LAW
@given(data=st.data(), kind=kinds)
def test_a_row_does_not_depend_on_its_neighbours(method: type[Correction], data: st.DataObject, kind: Kind) -> None:
    correction, x, *values = data.draw(drawn(method)), *(noise(seed, (3, 2, 3, 4)) for seed in range(4))
    guided, cond, uncond = (_said(x, value, kind) for value in values)
    together = corrected(correction, guided, cond=cond, uncond=uncond)
    for row in range(3):
        g, c, u = (_said(x[row : row + 1], value[row : row + 1], kind) for value in values)
        torch.testing.assert_close(together.value[row : row + 1], corrected(correction, g, cond=c, uncond=u).value)


@every_correction
def test_reads_only_the_branches_it_declares(method: type[Correction]) -> None:
    needed = {name: prediction(noise(3)) for name in method.needs}
    after = corrected(method(), prediction(noise(1)), **needed)
    more = corrected(method(), prediction(noise(1)), **{"uncond": prediction(noise(4))} | needed)
    assert torch.equal(after.value, more.value)


def _said(x: torch.Tensor, value: torch.Tensor, kind: Kind) -> Prediction:
    return prediction(value, kind, step=a_step(x=x))


def _no_maximum(method: type[Correction]) -> dict[str, None]:
    return {"maximum": None} if "maximum" in method.model_fields else {}
