"""Weights in the three conventions: read at the edge, kept as w."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from diffusers import ClassifierFreeGuidance
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guidance.combiners import CFG, Combiner
from guidance.registry import members
from guidance.schedules import Constant
from guidance.spec import GuidanceSpec
from tests.guidance.steps import a_step, guided, noise
from tests.guidance.strategies import LAW

SCHEDULES = members("schedule")
OTHERS = ["gamma", "ho_salimans"]
WEIGHTS = [
    (method, name)
    for method in SCHEDULES
    for name, field in method.model_json_schema()["properties"].items()
    if "#/$defs/GuidanceWeight" in [option.get("$ref") for option in [field, *field.get("anyOf", ())]]
]
"""Every field of a schedule that is a weight."""

every_weight = pytest.mark.parametrize(
    ("method", "name"), WEIGHTS, ids=[f"{method.type_name()}.{name}" for method, name in WEIGHTS]
)


def read(weight: Any) -> float:
    return Constant.model_validate({"weight": weight}).weight


@LAW
@given(less=st.floats(-1001, 999))
def test_all_three_forms_are_equal(less: float) -> None:
    """c + gamma (c - u), (1 + w) c - w u and u + w (c - u), to 1e-12 of the largest term."""
    cond, uncond = noise(1), noise(2)
    forms = {
        "gamma": cond + less * (cond - uncond),
        "ho_salimans": (1 + less) * cond - less * uncond,
    }
    for name, expected in forms.items():
        value = guided(CFG(), a_step(read({name: less})), cond, uncond)
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-12 * (1 + abs(less)) * 10)


@LAW
@given(gamma=st.floats(-1001, 999))
def test_gamma_is_diffusers_original_formulation(gamma: float) -> None:
    """With `use_original_formulation=True`."""
    cond, uncond = noise(1), noise(2)
    guider = ClassifierFreeGuidance(guidance_scale=gamma, use_original_formulation=True)
    expected = guider.forward(cond, uncond).pred
    value = guided(CFG(), a_step(read({"gamma": gamma})), cond, uncond)
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-12 * (1 + abs(gamma)) * 10)


@pytest.mark.parametrize("name", OTHERS)
def test_neutral_and_unconditional_values(name: str) -> None:
    assert (read({name: 0}), read({name: -1})) == (1.0, 0.0)


@every_weight
@pytest.mark.parametrize("name_of_other", OTHERS)
def test_every_weight_of_every_schedule_is_read_in_all_forms(method: Any, name: str, name_of_other: str) -> None:
    said, meant = (method.model_validate({name: weight}) for weight in ({name_of_other: 3.5}, 4.5))
    assert said == meant and said.model_dump() == meant.model_dump()


@pytest.mark.parametrize("name", OTHERS)
def test_weights_within_lists_and_points_are_read_in_all_forms(name: str) -> None:
    def resolved(weight: Any) -> list[Any]:
        listed = {"type": "per_step", "weights": [weight, None, weight]}
        drawn = {"type": "piecewise", "points": [{"at": 0, "weight": weight}, {"at": 1, "weight": 2}]}
        return [GuidanceSpec.model_validate({"schedule": schedule}) for schedule in (listed, drawn)]

    assert resolved({name: 3.5}) == resolved(4.5)


@pytest.mark.parametrize("name", OTHERS)
def test_a_resolved_spec_holds_w_alone(name: str) -> None:
    spec = GuidanceSpec.model_validate_json(f'{{"schedule": {{"type": "linear", "weight": {{"{name}": 6.5}}}}}}')
    assert spec.schedule.model_dump(mode="json")["weight"] == 7.5
    assert name not in spec.model_dump_json()
    assert GuidanceSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(("weight", "legal"), [(1000, True), (-1000, True), (1000.001, False), (-1000.001, False)])
def test_the_bounds_are_those_of_w_in_every_form(weight: float, legal: bool) -> None:
    """And those of the schema: the same numbers are legal to it."""
    defs = Constant.model_json_schema()["$defs"]
    for form in (weight, {"gamma": weight - 1}, {"ho_salimans": weight - 1}):
        if isinstance(form, dict):
            [(name, number)] = form.items()
            bounds = defs[{"gamma": "GammaWeight", "ho_salimans": "HoSalimansWeight"}[name]]["properties"][name]
            assert (bounds["minimum"] <= number <= bounds["maximum"]) == legal
        if legal:
            assert read(form) == weight
        else:
            with pytest.raises(ValidationError, match=r"weight"):
                read(form)


@pytest.mark.parametrize(
    "weight",
    [
        {},
        {"gama": 3},
        {"gamma": 3, "ho_salimans": 3},
        {"gamma": "3"},
        {"gamma": True},
        {"gamma": None},
        {"gamma": {"gamma": 3}},
        {"gamma": math.nan},
        {"gamma": math.inf},
        [3],
    ],
    ids=str,
)
def test_what_is_no_weight_is_refused(weight: Any) -> None:
    with pytest.raises(ValidationError, match="weight"):
        read(weight)


@pytest.mark.parametrize("combiner", ["t_norm", "full_norm"])
@pytest.mark.parametrize("name", OTHERS)
def test_a_share_of_a_length_has_no_other_convention(combiner: str, name: str) -> None:
    """T-Norm in gamma form would be 1 off a share of 0.15."""
    for schedule in (
        {"type": "constant", "weight": {name: 0.15}},
        {"type": "per_step", "weights": [0.1, {name: 0.1}]},
        {"type": "piecewise", "points": [{"at": 0, "weight": {name: 0.1}}, {"at": 1, "weight": 0}]},
    ):
        with pytest.raises(ValidationError, match=f"the weight of {combiner} is not CFG's w") as error:
            GuidanceSpec.model_validate({"combiner": {"type": combiner}, "schedule": schedule})
        assert error.value.errors()[0]["loc"] == ("schedule",)
    plain = {"combiner": {"type": combiner}, "schedule": {"type": "constant", "weight": 0.15}}
    assert GuidanceSpec.model_validate(plain).schedule == Constant(weight=0.15)


def test_combiners_with_a_weight_of_their_own_say_so() -> None:
    own = {m.type_name() for m in members("combiner") if issubclass(m, Combiner) and not m.cfg_weight}
    assert own >= {"t_norm", "full_norm"} and "cfg" not in own
