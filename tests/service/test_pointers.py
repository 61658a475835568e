"""Locations of pydantic become pointers into the body, for every union there is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import dictionaries, integers, lists, recursive, sampled_from, text
from pydantic import BaseModel, ValidationError

from guidance.registry import UNIONS, members
from jobs.request import GenerationRequest
from service.pointers import pointer, problem_items, without_tags
from tests.guidance.strategies import plain

METHODS = [(stage, member) for stage in UNIONS for member in members(stage)]
LISTED = ("condition", "perturbation", "correction", "energy")


def body_with(stage: str, spec: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """A request with this stage, and the pointer to it."""
    if stage == "sampler":
        return {"prompt": "x", "sampler": spec}, "/sampler"
    if stage == "loss":
        return {
            "prompt": "x",
            "guidance": {"energy": [{"type": "dps", "losses": [spec]}]},
        }, "/guidance/energy/0/losses/0"
    if stage in LISTED:
        return {"prompt": "x", "guidance": {stage: [spec]}}, f"/guidance/{stage}/0"
    return {"prompt": "x", "guidance": {stage: spec}}, f"/guidance/{stage}"


def pointers(body: Any) -> set[str]:
    with pytest.raises(ValidationError) as found:
        GenerationRequest.model_validate(body)
    return {item.pointer for item in problem_items(found.value.errors(), body)}


@pytest.mark.parametrize(("stage", "member"), METHODS, ids=str)
def test_an_unknown_field_of_any_method(stage: str, member: type[BaseModel]) -> None:
    body, place = body_with(stage, {**plain(member).model_dump(mode="json"), "no_such_field": 1})  # type: ignore[type-var]
    assert pointers(body) == {f"{place}/no_such_field"}


@pytest.mark.parametrize(("stage", "member"), METHODS, ids=str)
def test_a_wrong_value_of_every_field_of_any_method(stage: str, member: type[BaseModel]) -> None:
    tag = member.model_fields["type"].default
    wrong: dict[str, Any] = dict.fromkeys(set(member.model_fields) - {"type"}, "wrong")
    wrong |= {"model": 0} if "model" in wrong else {}  # any string may be the id of one
    body, place = body_with(stage, {"type": tag} | wrong)
    if wrong:
        assert pointers(body) == {f"{place}/{name}" for name in wrong}


@pytest.mark.parametrize("stage", UNIONS)
def test_an_unknown_type_of_any_stage(stage: str) -> None:
    body, place = body_with(stage, {"type": "no_such_type"})
    assert pointers(body) == {f"{place}/type"}


def test_members_are_escaped() -> None:
    assert pointer(["a/b", "~", 0]) == "/a~1b/~0/0"
    assert pointer([]) == ""


keys = sampled_from(["type", "a", "b"])
documents = recursive(
    sampled_from(["a", "b", "type"]) | integers(0, 2), lambda inner: lists(inner) | dictionaries(keys, inner)
)


@given(lists(sampled_from(["type", "a", "b", 0, 1]) | text(max_size=2)), documents)
def test_steps_that_lead_somewhere_are_kept(steps: list[str | int], body: Any) -> None:
    here, leads = body, True
    for step in steps:
        if isinstance(here, dict) and step in here:
            here = here[step]
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
        else:
            leads = False
            break
    found = without_tags(steps, body)
    assert not leads or found == steps
    assert len(found) <= len(steps)
