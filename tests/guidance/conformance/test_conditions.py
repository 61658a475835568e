"""What every condition transform must do, whatever its formula."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance.conditions import ConditionTransform
from guidance.protocol import Condition, Step
from guidance.registry import members
from tests.guidance.steps import Others, a_step, noise
from tests.guidance.strategies import LAW, drawn

ALL: list[type[ConditionTransform]] = [m for m in members("condition") if issubclass(m, ConditionTransform)]
every_transform = pytest.mark.parametrize("method", ALL, ids=lambda method: method.type_name())

NEUTRAL: dict[str, dict[str, Any]] = {"cads": {"tau1": 1}, "nag": {"scale": 1}, "swap": {"changes": ()}}
"""A setting of each transform at which it changes nothing."""

indices = st.integers(0, 9)
dtypes = st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64])


def text(step: Step) -> torch.Tensor:
    return step.cond.cond.embeddings["text"]


@every_transform
@LAW
@given(data=st.data(), index=indices)
def test_neutral_setting_is_the_same_step(method: type[ConditionTransform], data: st.DataObject, index: int) -> None:
    step = a_step(index=index)
    assert data.draw(drawn(method, **NEUTRAL[method.type_name()])).apply(step) is step


@every_transform
@LAW
@given(data=st.data(), index=indices, dtype=dtypes, zero=st.booleans())
def test_shape_and_dtype_are_kept_and_values_finite(
    method: type[ConditionTransform], data: st.DataObject, index: int, dtype: torch.dtype, zero: bool
) -> None:
    given = Condition({"text": noise(1, (1, 5, 6), dtype) * (not zero)}, {"mask": torch.ones(1, 5)}, ("a", "star"))
    transform = data.draw(drawn(method))
    after = transform.apply(a_step(index=index, others=Others(dtype)).with_condition(given)).cond.cond
    assert (after.embeddings["text"].shape, after.embeddings["text"].dtype) == ((1, 5, 6), dtype)
    assert after.embeddings["text"].isfinite().all()
    assert (after.given is given.given and after.words == given.words) or transform.wanted()


@every_transform
@LAW
@given(data=st.data(), index=indices)
def test_is_pure(method: type[ConditionTransform], data: st.DataObject, index: int) -> None:
    transform, step = data.draw(drawn(method)), a_step(index=index)
    before = transform.model_copy(deep=True)
    transform.apply(step)
    assert transform == before
    assert torch.equal(text(step), noise(1, (1, 5, 6))) and torch.equal(step.cond.x, noise(0))


@every_transform
@LAW
@given(data=st.data(), index=indices)
def test_changes_conditions_alone(method: type[ConditionTransform], data: st.DataObject, index: int) -> None:
    step = a_step(index=index)
    after = data.draw(drawn(method)).apply(step)
    assert (after.cond.x is step.cond.x, after.uncond.x is step.uncond.x) == (True, True)
    assert replace(after, cond=step.cond, uncond=step.uncond).__dict__ == step.__dict__


@every_transform
@LAW
@given(data=st.data(), index=indices)
def test_two_trajectories_on_one_object_do_not_meet(
    method: type[ConditionTransform], data: st.DataObject, index: int
) -> None:
    transform = data.draw(drawn(method))
    apart = [_steps(transform, [seed], index)[0] for seed in (3, 4)]
    together = _steps(transform, [3, 4], index)
    assert all(torch.equal(a, b) for a, b in zip(apart, together, strict=True))


@every_transform
@LAW
@given(data=st.data(), index=indices)
def test_a_second_evaluation_sees_the_condition_of_the_first(
    method: type[ConditionTransform], data: st.DataObject, index: int
) -> None:
    transform, step = data.draw(drawn(method)), a_step(index=index)
    first, second = transform.apply(step), transform.apply(replace(step, call=1))
    assert torch.equal(text(first), text(second))
    assert torch.equal(first.uncond.cond.embeddings["text"], second.uncond.cond.embeddings["text"])


def _steps(transform: ConditionTransform, seeds: list[int], last: int) -> list[torch.Tensor]:
    """The condition at step `last` of trajectories with these seeds, all run in step with each other."""
    runs = [a_step(generator=torch.Generator().manual_seed(seed), memory={}) for seed in seeds]
    for index in range(last + 1):
        after = [transform.apply(replace(step, index=index)) for step in runs]
    return [text(step) for step in after]
