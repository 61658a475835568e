"""What a comparison comes to: bodies, labels, and where each part was written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import (
    SearchStrategy,
    booleans,
    dictionaries,
    floats,
    integers,
    lists,
    none,
    recursive,
    sampled_from,
    text,
)

from jobs.comparison_request import MAX_SPECS, ComparisonRequest
from jobs.grid import Variant, escaped, parsed, variants
from jobs.labels import labels, short_names
from jobs.request import GenerationRequest, RequestProblems

BASE: dict[str, Any] = {"prompt": "a red circle", "seed": 7}
AXES: dict[str, list[Any]] = {
    "/guidance/combiner/type": ["cfg", "apg", "cfg_zero"],
    "/guidance/schedule/weight": [1, 3.5, 7],
    "/guidance/schedule/sigma_low": [0.1, 0.2],
    "/sampler/steps": [2, 3],
    "/negative_prompt": ["", "blurred"],
}


def compared(**fields: Any) -> list[Variant]:
    return variants(ComparisonRequest.model_validate(BASE | fields))


def json_values() -> SearchStrategy[Any]:
    leaves = none() | booleans() | integers(-9, 9) | floats(-9, 9) | text(max_size=40)
    return recursive(leaves, lambda inner: lists(inner, max_size=3) | dictionaries(text(max_size=5), inner, max_size=3))


def at(body: Any, pointer: str) -> Any:
    for step in parsed(pointer):
        body = body[int(step)] if isinstance(body, list) else body[step]
    return body


@given(chosen=lists(sampled_from(sorted(AXES)), unique=True, min_size=1, max_size=3))
def test_a_grid_is_every_combination_the_last_axis_fastest(chosen: list[str]) -> None:
    grid = {pointer: AXES[pointer] for pointer in chosen}
    found = [[at(variant.body, pointer) for pointer in chosen] for variant in compared(grid=grid)]
    expected: list[list[Any]] = [[]]
    for values in grid.values():
        expected = [[*before, value] for before in expected for value in values]
    assert found == expected
    assert len(set(labels([variant.varied for variant in compared(grid=grid)]))) == len(expected)


@given(chosen=lists(sampled_from(sorted(AXES)), unique=True, min_size=1, max_size=3))
def test_every_combination_is_a_request_of_the_same_noise(chosen: list[str]) -> None:
    for variant in compared(grid={pointer: AXES[pointer] for pointer in chosen}):
        request = GenerationRequest.model_validate(variant.body)
        assert (request.seed, request.n, request.prompt, request.diagnostics) == (7, 1, "a red circle", "full")
        assert set(variant.origins) == set(chosen)


def test_what_a_grid_does_not_name_is_as_in_a_generation() -> None:
    plain = GenerationRequest.model_validate(
        BASE | {"guidance": {"combiner": {"type": "beta_cfg"}}, "diagnostics": "full"}
    )
    weight = plain.guidance.model_dump()["schedule"]["weight"]
    [variant] = compared(grid={"/guidance/combiner/type": ["beta_cfg"], "/guidance/schedule/weight": [weight]})
    assert GenerationRequest.model_validate(variant.body).guidance == plain.guidance


def test_a_grid_varies_a_preset() -> None:
    found = compared(guidance={"preset": "cfg_cosine"}, grid={"/guidance/schedule/max_weight": [2, 9]})
    schedules = [GenerationRequest.model_validate(variant.body).guidance.model_dump()["schedule"] for variant in found]
    assert [(one["type"], one["max_weight"], one["min_weight"]) for one in schedules] == [
        ("cosine", 2, 0.15),
        ("cosine", 9, 0.15),
    ]


def test_a_grid_varies_an_item_of_a_list() -> None:
    guidance = {"correction": [{"type": "rescale", "phi": 0.5}]}
    found = compared(guidance=guidance, grid={"/guidance/correction/0/phi": [0.1, 0.9]})
    assert [variant.body["guidance"]["correction"][0]["phi"] for variant in found] == [0.1, 0.9]
    assert guidance["correction"][0]["phi"] == 0.5


def test_a_spec_takes_what_it_leaves_out_from_the_comparison() -> None:
    mine, theirs = {"combiner": {"type": "apg"}}, {"combiner": {"type": "cfg_zero"}}
    first, second = compared(guidance=theirs, specs=[{"guidance": mine}, {"sampler": {"type": "euler"}, "label": "e"}])
    assert (first.body["guidance"], first.label, first.origins) == (mine, None, {"/guidance": "/specs/0/guidance"})
    assert (second.body["guidance"], second.body["sampler"], second.label) == (theirs, {"type": "euler"}, "e")


@pytest.mark.parametrize(
    ("grid", "pointer", "code"),
    [
        ({"/seed": [1, 2]}, "/grid/~1seed", "invalid_pointer"),
        ({"guidance": [{}]}, "/grid/guidance", "invalid_pointer"),
        ({"": [1]}, "/grid/", "invalid_pointer"),
        ({"/sampler/steps": [2, 3, 2]}, "/grid/~1sampler~1steps/2", "repeated_value"),
        ({"/sampler": [{}], "/sampler/steps": [2]}, "/grid/~1sampler~1steps", "inside_another"),
        ({"/guidance/correction/0/phi": [0.1]}, "/grid/~1guidance~1correction~10~1phi", "no_such_place"),
        ({"/negative_prompt/x": [0.1]}, "/grid/~1negative_prompt~1x", "no_such_place"),
    ],
)
def test_a_pointer_that_leads_nowhere_is_named(grid: dict[str, Any], pointer: str, code: str) -> None:
    with pytest.raises(RequestProblems) as refused:
        compared(negative_prompt="blurred", grid=grid)
    assert [(found.pointer, found.code) for found in refused.value.problems] == [(pointer, code)]


@given(steps=lists(text(max_size=6), min_size=1, max_size=4))
def test_a_pointer_is_read_as_it_was_written(steps: list[str]) -> None:
    assert parsed("".join(f"/{escaped(step)}" for step in steps)) == tuple(steps)


@given(pointer=text(max_size=12), values=lists(json_values(), min_size=1, max_size=3), guidance=json_values())
def test_any_grid_is_expanded_or_refused(pointer: str, values: list[Any], guidance: Any) -> None:
    for place in (pointer, f"/guidance/{pointer}", f"/guidance/combiner{pointer}"):
        try:
            assert len(compared(guidance=guidance, grid={place: values})) == len(values)
        except RequestProblems as refused:
            assert all(found.pointer.startswith(f"/grid/{escaped(place)}") for found in refused.problems)


@given(bodies=lists(dictionaries(sampled_from(["guidance", "sampler"]), json_values()), min_size=1, max_size=MAX_SPECS))
def test_labels_are_always_different_and_never_empty(bodies: list[dict[str, Any]]) -> None:
    found = labels(bodies)
    assert len(set(found)) == len(bodies) and all(found)


def test_labels_say_what_varies_and_nothing_else() -> None:
    def spec(type: str, weight: float) -> dict[str, Any]:
        schedule = {"type": "constant", "weight": weight}
        return {"guidance": {"combiner": {"type": type}, "schedule": schedule}, "sampler": {"type": "ddim"}}

    assert labels([spec("cfg", 1), spec("apg", 2.0)]) == ["combiner=cfg, weight=1", "combiner=apg, weight=2"]
    assert labels([spec("cfg", 1), spec("cfg", 2.5)]) == ["weight=1", "weight=2.5"]
    assert labels([spec("cfg", 1), spec("cfg", 1)])[1].endswith(" (2)")
    assert labels([{"guidance": {"preset": "apg_sd21"}}, {"guidance": {}}]) == ["apg_sd21", "default"]


def test_what_a_spec_leaves_out_is_named_by_what_it_comes_to() -> None:
    asked = [{}, {"guidance": {"schedule": {"weight": 9}}}]
    resolved = [{"guidance": {"schedule": {"weight": weight, "sigma_low": 0}}} for weight in (5.0, 9.0)]
    assert labels(asked, resolved) == ["weight=5", "weight=9"]
    presets = [{"guidance": {"preset": name}} for name in ("cfg_fixed", "cfg_cosine")]
    assert labels([*presets, asked[1]])[:2] == ["cfg_fixed", "cfg_cosine"]


def test_names_are_as_long_as_it_takes_to_tell_them_apart() -> None:
    paths = [("guidance", "a", "scale"), ("guidance", "b", "0", "scale"), ("sampler", "type"), ("sampler", "eta")]
    assert list(short_names(paths).values()) == ["a.scale", "b.scale", "sampler", "eta"]
    items = [("guidance", "correction", "0", "type"), ("guidance", "correction", "1", "type"), ("guidance", "phi")]
    assert list(short_names(items).values()) == ["correction.0", "correction.1", "phi"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"specs": [{}], "grid": {"/sampler/steps": [1]}},
        {"specs": []},
        {"specs": [{}] * (MAX_SPECS + 1)},
        {"grid": {}},
        {"grid": {"/sampler/steps": []}},
        {"grid": {"/sampler/steps": [1, 2, 3, 4, 5, 6], "/guidance/schedule/weight": [1, 2, 3, 4, 5, 6]}},
        {"n": 16, "specs": [{}] * 9},
        {"specs": [{"colour": "red"}]},
        {"specs": [{"guidance": json.loads("[" * 40 + "]" * 40)}]},
    ],
)
def test_what_cannot_be_compared_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ComparisonRequest.model_validate(BASE | fields)


def test_the_order_of_keys_means_nothing() -> None:
    schedule = {"type": "constant", "weight": 2}
    turned = dict(reversed(schedule.items()))
    one, other = (
        ComparisonRequest.model_validate(BASE | {"specs": [{"guidance": {"schedule": given}}]}).model_dump_json()
        for given in (schedule, turned)
    )
    assert one == other
