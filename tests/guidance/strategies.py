"""Arguments of methods, drawn by hypothesis from their own JSON schemas: whatever a client may ask for."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any, TypeVar

from hypothesis import reject, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic import ValidationError

from guidance.info import CAPABILITIES
from guidance.registry import members
from guidance.samplers import Sampler
from guidance.spec import GuidanceSpec
from guidance.stage import Stage

LAW = settings(deadline=None, derandomize=True, max_examples=40)
"""How hypothesis tries a property here: the same examples in every run, and no clock."""

FEW = settings(LAW, max_examples=12)
"""For properties that run a whole trajectory."""

LARGEST = 1e6
"""Stands for the missing end of an unbounded parameter."""

Method = TypeVar("Method", bound=Stage)


def weights() -> SearchStrategy[float]:
    """Legal guidance weights; the ones with shortcuts and the extremes are drawn often."""
    return st.sampled_from([0.0, 1.0, -1000.0, 1000.0, 7.5]) | st.floats(-1000, 1000)


def drawn(method: type[Method], **fixed: Any) -> SearchStrategy[Method]:
    """Instances of `method` with every parameter anywhere in its legal range; `fixed` ones as given."""
    properties = method.model_json_schema()["properties"]
    parts = method.model_json_schema().get("$defs", {})
    free = {name: _values(schema, parts) for name, schema in properties.items() if name not in {"type", *fixed}}
    return st.fixed_dictionaries(free).map(lambda fields: _legal(method, fields | fixed))


def specs(able: Collection[str] = CAPABILITIES) -> SearchStrategy[GuidanceSpec]:
    """Whole guidance specs for a model that is `able`: any combiner and schedule, at most one of the other stages."""

    def fitting(stage: str, least: int) -> SearchStrategy[list[Stage]]:
        methods = [method for method in members(stage) if method.requires <= set(able)]
        one = st.sampled_from(methods).flatmap(drawn) if methods else st.nothing()
        return st.lists(one, min_size=least, max_size=1 if methods else 0)

    fields: dict[str, SearchStrategy[Any]] = {
        name: fitting(name, 1).map(lambda one: one[0]) for name in ("combiner", "schedule")
    }
    fields |= {name: fitting(name, 0) for name in ("condition", "perturbation", "correction")}
    return st.fixed_dictionaries(fields).map(_spec)


def samplers(steps: SearchStrategy[int]) -> SearchStrategy[Sampler]:
    """Any sampler at one of the `steps` with any spacing that it knows."""
    kinds = st.sampled_from([method for method in members("sampler") if issubclass(method, Sampler)])
    drawings: SearchStrategy[Sampler] = kinds.flatmap(lambda kind: steps.flatmap(lambda n: drawn(kind, steps=n)))
    return drawings.filter(_knows_its_spacing)


def _knows_its_spacing(sampler: Sampler) -> bool:
    return sampler.spacing != "karras" or sampler.karras


def _values(schema: dict[str, Any], parts: dict[str, Any]) -> SearchStrategy[Any]:
    """Whatever `schema` allows; `parts` are the definitions it may refer to."""
    if "$ref" in schema:
        return _objects(parts[schema["$ref"].rpartition("/")[2]], parts)
    if "anyOf" in schema:
        return st.one_of([_values(option, parts) for option in schema["anyOf"]])
    if schema.get("type") == "array":
        return st.lists(_values(schema["items"], parts), min_size=schema.get("minItems", 0), max_size=2)
    if schema.get("type") == "string" and "enum" not in schema:
        return st.just("mid") if "pattern" in schema else st.sampled_from(["a star", "a small red square"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "integer":
        return st.integers(schema["minimum"], schema["maximum"])
    simple: dict[str, SearchStrategy[Any]] = {"null": st.none(), "boolean": st.booleans()}
    return simple[schema["type"]] if schema["type"] in simple else _numbers(schema)


def _objects(schema: dict[str, Any], parts: dict[str, Any]) -> SearchStrategy[Any]:
    """Parts of a method, asked for by prompt."""
    told = {"prompt": {"type": "string"}, "label": {"type": "null"}}
    return st.fixed_dictionaries(
        {name: _values(told.get(name, field), parts) for name, field in schema["properties"].items()}
    )


def _numbers(schema: dict[str, Any]) -> SearchStrategy[float]:
    above, below = "exclusiveMinimum" in schema, "exclusiveMaximum" in schema
    low = schema.get("exclusiveMinimum", schema.get("minimum", -LARGEST))
    high = schema.get("exclusiveMaximum", schema.get("maximum", LARGEST))
    ends = [end for end, open in ((low, above), (high, below)) if not open]
    smallest = low + sys.float_info.min if above else low
    anywhere = st.floats(smallest, high, exclude_max=below)
    return anywhere | st.sampled_from([float(end) for end in ends]) if ends else anywhere


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
