"""Guidance specs: defaults, presets, contradictions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from guidance.combiners import Combiner
from guidance.presets import PRESETS
from guidance.registry import members
from guidance.spec import GuidanceSpec
from tests.guidance.strategies import LAW, specs

COMBINERS: list[type[Combiner]] = [method for method in members("combiner") if issubclass(method, Combiner)]


def spec(**fields: Any) -> GuidanceSpec:
    return GuidanceSpec.model_validate(fields)


def dumped(guidance: GuidanceSpec) -> dict[str, Any]:
    return guidance.model_dump(mode="json", exclude={"preset"})


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_what_a_client_could_have_written(name: str) -> None:
    assert dumped(spec(preset=name)) == dumped(spec(**PRESETS[name].guidance))
    assert spec(preset=name).preset == name


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_resolves_to_itself(name: str) -> None:
    resolved = spec(preset=name)
    assert GuidanceSpec.model_validate(json.loads(resolved.model_dump_json())) == resolved


def test_a_stage_that_is_named_beats_the_preset() -> None:
    mixed = spec(preset="t_norm_cosine", schedule={"type": "constant", "weight": 0.1})
    assert (mixed.combiner.type, mixed.schedule.type) == ("t_norm", "constant")


def test_a_preset_is_not_changed_by_use() -> None:
    before = json.dumps(PRESETS["cfg_fixed"].guidance)
    spec(preset="cfg_fixed", correction=[{"type": "rescale"}])
    assert json.dumps(PRESETS["cfg_fixed"].guidance) == before


@pytest.mark.parametrize("name", ["cfg fixed", "", [], {}, 3, True])
def test_an_unknown_preset_is_refused(name: object) -> None:
    with pytest.raises(ValidationError, match="preset"):
        spec(preset=name)


@LAW
@given(guidance=specs())
def test_specs_survive_json(guidance: GuidanceSpec) -> None:
    assert GuidanceSpec.model_validate_json(guidance.model_dump_json()) == guidance


@pytest.mark.parametrize("method", COMBINERS, ids=lambda method: method.type_name())
def test_the_schedule_left_out_is_the_combiner_s(method: type[Combiner]) -> None:
    default = method.default_schedule
    filled = spec(combiner={"type": method.type_name()}).schedule.model_dump()
    assert {name: filled[name] for name in default} == default


def test_nothing_at_all_is_plain_cfg() -> None:
    assert spec() == spec(combiner={"type": "cfg"}, schedule={"type": "constant", "weight": 5.0})


def test_null_is_as_if_left_out_where_the_document_has_it() -> None:
    assert spec(preset=None, travel=None, reuse=None) == spec()
    assert spec(preset="freedom", travel=None) == spec(preset="freedom")


@pytest.mark.parametrize("stage", ["schedule", "combiner", "condition", "perturbation", "correction", "energy"])
def test_null_is_no_stage(stage: str) -> None:
    with pytest.raises(ValidationError):
        spec(**{stage: None})


@pytest.mark.parametrize("combiner", ["base_norm", "full_norm"])
def test_two_normalisers_are_refused(combiner: str) -> None:
    with pytest.raises(ValidationError, match=f"correction rescale and combiner {combiner} both set the length"):
        spec(combiner={"type": combiner}, correction=[{"type": "rescale"}])


def test_t_norm_and_rescale_go_together() -> None:
    assert spec(combiner={"type": "t_norm"}, correction=[{"type": "rescale"}]).needs == {"cond"}


@pytest.mark.parametrize(("field", "stage"), [("correction", "static_threshold"), ("condition", "cads")])
def test_a_repeated_stage_is_refused(field: str, stage: str) -> None:
    with pytest.raises(ValidationError, match=f"{field} names {stage} 2 times"):
        spec(**{field: [{"type": stage}] * 2})


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"wieght": 3}, "wieght"),
        ({"combiner": {"type": "cgf"}}, "combiner"),
        ({"schedule": {"type": "constant", "weight": 1001}}, "schedule.constant.weight"),
        ({"correction": [{"type": "rescale", "phi": 2}]}, "correction.0.rescale.phi"),
        ({"condition": [{"type": "cads", "tau1": -1}]}, "condition.0.cads.tau1"),
        ({"combiner": {}}, "combiner"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as error:
        spec(**fields)
    assert ".".join(str(part) for part in error.value.errors()[0]["loc"]) == place


def test_stages_have_the_pointers_of_their_json() -> None:
    guidance = spec(condition=[{"type": "cads"}], correction=[{"type": "rescale"}, {"type": "static_threshold"}])
    whole = guidance.model_dump()
    for pointer, stage in guidance.stages():
        found: Any = whole
        for part in pointer.strip("/").split("/"):
            found = found[int(part)] if part.isdigit() else found[part]
        assert found == stage.model_dump()
