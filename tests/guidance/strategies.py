"""Arguments of methods, drawn by hypothesis from their own JSON schemas: whatever a client may ask for."""

from __future__ import annotations

import base64
import sys
from collections.abc import Collection
from typing import Any, TypeVar

from hypothesis import reject, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic import ValidationError

from guidance.info import CAPABILITIES, solver_reasons
from guidance.picture import data_url
from guidance.registry import members
from guidance.samplers import Sampler
from guidance.spec import GuidanceSpec
from guidance.stage import Stage
from guidance.time_travel import TimeTravel

LAW = settings(deadline=None, derandomize=True, max_examples=40)
"""How hypothesis tries a property here: the same examples in every run, and no clock."""

FEW = settings(LAW, max_examples=12)
"""For properties that run a whole trajectory."""

LARGEST = 1e6
"""Stands for the missing end of an unbounded parameter."""

LONGEST = 7
"""Entries of a drawn list, at most; the least is 2, so that a sampler with that many steps knows every spacing."""

Method = TypeVar("Method", bound=Stage)

PICTURE = data_url(
    base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGOIqpgGAAKYAWkZJYbOAAAAAElFTkSuQmCC")
)
"""One grey pixel, which stands for a picture of any size."""

LOSSES = [{"type": "colour"}, {"type": "label", "labels": [0]}, {"type": "match", "image": PICTURE}]
REQUIRED: dict[str, Any] = {"labels": [0], "losses": LOSSES[:1], "image": PICTURE}
"""A value for each field that has no default."""


def plain(method: type[Method]) -> Method:
    """`method` as it is when a client names nothing that may be left out."""
    asked = method.model_json_schema()["required"]
    return method.model_validate({name: REQUIRED[name] for name in asked if name != "type"})


def weights() -> SearchStrategy[float]:
    """Legal guidance weights; the ones with shortcuts and the extremes are drawn often."""
    return st.sampled_from([0.0, 1.0, -1000.0, 1000.0, 7.5]) | st.floats(-1000, 1000)


def drawn(method: type[Method], **fixed: Any) -> SearchStrategy[Method]:
    """Instances of `method` with every parameter anywhere in its legal range; `fixed` ones as given."""
    schema = method.model_json_schema()
    properties, defs = schema["properties"], schema.get("$defs", {})
    fixed = {name: value for name, value in REQUIRED.items() if name in properties and name == "labels"} | fixed
    free = {name: _values(field, defs) for name, field in properties.items() if name not in {"type", *fixed}}
    return st.fixed_dictionaries(free).map(lambda fields: _legal(method, _in_order(fields | fixed)))


def specs(able: Collection[str] = CAPABILITIES) -> SearchStrategy[GuidanceSpec]:
    """Whole guidance specs for a model that is `able`: any combiner and schedule, at most one of the other stages."""

    def fitting(stage: str, least: int) -> SearchStrategy[list[Stage]]:
        methods = [method for method in members(stage) if method.requires <= set(able)]
        one = st.sampled_from(methods).flatmap(drawn) if methods else st.nothing()
        return st.lists(one, min_size=least, max_size=1 if methods else 0)

    fields: dict[str, SearchStrategy[Any]] = {
        name: fitting(name, 1).map(lambda one: one[0]) for name in ("combiner", "schedule")
    }
    fields |= {name: fitting(name, 0) for name in ("condition", "perturbation", "correction", "energy")}
    fields |= {name: fitting(name, 0).map(lambda one: one[0] if one else None) for name in ("travel", "reuse")}
    return st.fixed_dictionaries(fields).map(_spec)


def runs(
    steps: SearchStrategy[int], able: Collection[str] = CAPABILITIES
) -> SearchStrategy[tuple[GuidanceSpec, Sampler]]:
    """A spec and a sampler that go together: a schedule made for a number of steps gets it."""

    def with_sampler(guidance: GuidanceSpec) -> SearchStrategy[tuple[GuidanceSpec, Sampler]]:
        length = guidance.schedule.length
        fitting = samplers(steps if length is None else st.just(length))
        if guidance.travel or guidance.energy:  # long ones take their steps often
            guidance = guidance.model_copy(update={"travel": guidance.travel and TimeTravel(repeats=2)})
        kinds = guidance_solvers(guidance)
        return st.tuples(st.just(guidance), fitting.filter(lambda sampler: sampler.type_name() in kinds))

    return specs(able).flatmap(with_sampler)


def guidance_solvers(guidance: GuidanceSpec) -> set[str]:
    """The samplers that every stage of a spec can work with."""
    sampled = [method for method in members("sampler") if issubclass(method, Sampler)]
    return {method.type_name() for method in sampled if not solver_reasons(guidance, method())}  # type: ignore[arg-type]


def samplers(steps: SearchStrategy[int]) -> SearchStrategy[Sampler]:
    """Any sampler at one of the `steps` with any spacing that it knows."""
    kinds = st.sampled_from([method for method in members("sampler") if issubclass(method, Sampler)])
    drawings: SearchStrategy[Sampler] = kinds.flatmap(lambda kind: steps.flatmap(lambda n: drawn(kind, steps=n)))
    return drawings.filter(_knows_its_spacing)


def _knows_its_spacing(sampler: Sampler) -> bool:
    return sampler.spacing != "karras" or sampler.karras


def _values(schema: dict[str, Any], defs: dict[str, Any]) -> SearchStrategy[Any]:
    """Whatever `schema` allows; `defs` are the definitions it may refer to."""
    if schema.get("format") == "data-url":
        return st.just(PICTURE)
    if "discriminator" in schema:  # losses: the one union within a method
        return st.sampled_from(LOSSES)
    if "$ref" in schema:
        return _values(defs[schema["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in schema:
        return st.one_of([_values(option, defs) for option in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "integer":
        return st.integers(schema["minimum"], schema["maximum"])
    if schema["type"] == "array":
        most = min(schema.get("maxItems", LONGEST), LONGEST)
        least = min(2, most) if schema.get("minItems") else 0
        return st.lists(_values(schema["items"], defs), min_size=least, max_size=most)
    if schema["type"] == "object":
        told = {"prompt": {"type": "string"}, "label": {"type": "null"}}  # one of them, where there are such
        parts = {name: _values(told.get(name, part), defs) for name, part in schema["properties"].items()}
        return st.fixed_dictionaries(parts)
    if schema.get("format") == "model":  # only those that are served may be named
        return st.nothing()
    if schema["type"] == "string":
        if "pattern" in schema:
            return st.just("#37b24d" if "#" in schema["pattern"] else "mid")
        return st.sampled_from(["a star", "a small red square"])
    simple: dict[str, SearchStrategy[Any]] = {"null": st.none(), "boolean": st.booleans()}
    return simple[schema["type"]] if schema["type"] in simple else _numbers(schema)


def _numbers(schema: dict[str, Any]) -> SearchStrategy[float]:
    above, below = "exclusiveMinimum" in schema, "exclusiveMaximum" in schema
    low = schema.get("exclusiveMinimum", schema.get("minimum", -LARGEST))
    high = schema.get("exclusiveMaximum", schema.get("maximum", LARGEST))
    ends = [end for end, open in ((low, above), (high, below)) if not open]
    smallest = low + sys.float_info.min if above else low
    anywhere = st.floats(smallest, high, exclude_max=below)
    return anywhere | st.sampled_from([float(end) for end in ends]) if ends else anywhere


def _in_order(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields that must stand in an order or a range of another's choice, put there: drawn apart they seldom do."""
    for low, high in (("sigma_low", "sigma_high"), ("low", "high")):
        if fields.get(low) is not None and fields.get(high) is not None:
            fields[low], fields[high] = sorted((fields[low], fields[high]))
    if fields.get("domain") == "time":
        fields |= {name: min(fields[name], 1.0) for name in ("low", "high")}
    if "points" in fields:
        scale = max(1.0, *(point["at"] for point in fields["points"])) if fields["over"] == "progress" else 1.0
        points = {point["at"] / scale: point["weight"] for point in fields["points"]}
        fields["points"] = [{"at": at, "weight": points[at]} for at in sorted(points)]
    return fields


def _legal(method: type[Method], fields: dict[str, Any]) -> Method:
    """Parameters that are legal alone may not be so together: then another draw."""
    try:
        return method(**fields)
    except ValidationError:
        reject()


def _spec(fields: dict[str, Any]) -> GuidanceSpec:
    try:
        return GuidanceSpec(**fields)
    except ValidationError:
        reject()
