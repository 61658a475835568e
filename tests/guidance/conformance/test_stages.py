"""What every registered method has in common, whatever its stage."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guidance.catalogue import catalogue
from guidance.info import CAPABILITIES
from guidance.registry import UNIONS, members
from guidance.stage import Stage
from tests.guidance.strategies import LAW, drawn, plain

ALL = [method for stage in UNIONS for method in members(stage)]
every_method = pytest.mark.parametrize("method", ALL, ids=lambda method: method.type_name())


@every_method
@LAW
@given(data=st.data())
def test_survives_json(method: type[Stage], data: st.DataObject) -> None:
    stage = data.draw(drawn(method))
    assert method.model_validate_json(stage.model_dump_json()) == stage
    assert method.model_validate(json.loads(json.dumps(stage.model_dump(mode="json")))) == stage


@every_method
def test_refuses_unknown_fields(method: type[Stage]) -> None:
    with pytest.raises(ValidationError, match="wieght"):
        method.model_validate({"type": method.type_name(), "wieght": 3})


@every_method
def test_needs_its_type_in_json_and_not_in_python(method: type[Stage]) -> None:
    assert "type" in method.model_json_schema()["required"]
    assert plain(method).type_name() == plain(method).model_dump()["type"]


@every_method
def test_is_frozen(method: type[Stage]) -> None:
    stage = plain(method)
    for name in method.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(stage, name, getattr(stage, name))


@every_method
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_refuses_numbers_that_are_none(method: type[Stage], value: float) -> None:
    for name, schema in method.model_json_schema()["properties"].items():
        if "number" in json.dumps(schema):
            with pytest.raises(ValidationError, match=name):
                method.model_validate({name: value})


@every_method
def test_lists_itself_with_a_summary_a_paper_and_known_capabilities(method: type[Stage]) -> None:
    entry = method.catalogue_entry()
    assert entry["summary"] and entry["details"] and entry["paper"]
    assert set(entry["requires"]) <= set(CAPABILITIES)
    assert json.loads(json.dumps(entry)) == entry


def test_no_two_methods_of_a_stage_share_a_name() -> None:
    for stage, entries in catalogue().items():
        names = [entry["name" if stage == "presets" else "type"] for entry in entries]
        assert len(names) == len(set(names))
