"""Validation errors of pydantic as problem items whose JSON pointers lead into the client's own body."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

from pydantic import BaseModel

from guidance.registry import UNIONS, members
from guidance.spec import GuidanceSpec
from jobs.comparison_request import ComparedSpec, ComparisonRequest
from jobs.request import Output
from service.problems import ProblemItem

LOCATIONS = ("body", "query", "header", "path", "cookie")
TAG_ERRORS = {"union_tag_invalid", "union_tag_not_found"}
LONGEST_VALUE = 80
LONGEST_NAME = 200
"""Of a member of the client's body, in a pointer or a sentence."""
MOST_ITEMS = 100
"""Places that one answer names: a small body can have very many, and each takes a millisecond."""


def problem_items(errors: Sequence[Mapping[str, Any]], body: Any) -> list[ProblemItem]:
    """One item for each of the first errors of `RequestValidationError.errors()` that do not follow from another."""
    own = (error for error in errors if error["type"] != "default_factory_not_called")
    return [_item(error, body) for error in islice(own, MOST_ITEMS)]


def _item(error: Mapping[str, Any], body: Any) -> ProblemItem:
    location, *steps = error["loc"] if error["loc"] and error["loc"][0] in LOCATIONS else ("body", *error["loc"])
    if error["type"] == "json_invalid":
        detail = f"the body is not JSON: {error['ctx']['error']} at character {error['loc'][-1]}"
        return ProblemItem(pointer="", code="json_invalid", detail=detail)
    path = without_tags(steps, body) if location == "body" else steps
    if error["type"] in TAG_ERRORS:
        path = [*path, "type"]
    return ProblemItem(pointer=pointer(path), code=error["type"], detail=_detail(error, path), location=location)


def without_tags(steps: Sequence[str | int], body: Any) -> list[str | int]:
    """Drop the union tags that pydantic puts in a location, by walking the body along with it.

    ("guidance", "schedule", "interval", "weight") becomes guidance, schedule, weight: the object at /guidance/schedule
    has no member `interval`, it has `"type": "interval"`.
    """
    path: list[str | int] = []
    here = body
    for step in steps:
        if isinstance(here, Mapping) and step not in here and here.get("type") == step:
            continue
        path.append(step)
        here = _descend(here, step)
    return path


def _descend(here: Any, step: str | int) -> Any:
    if isinstance(here, Mapping):
        return here.get(step)
    if isinstance(here, list) and isinstance(step, int) and step < len(here):
        return here[step]
    return None


def pointer(path: Sequence[str | int]) -> str:
    """RFC 6901: /guidance/correction/0/phi; the empty string is the whole document. Names are cut to LONGEST_NAME."""
    return "".join(f"/{str(step)[:LONGEST_NAME].replace('~', '~0').replace('/', '~1')}" for step in path)


def _detail(error: Mapping[str, Any], path: Sequence[str | int]) -> str:
    name = str(path[-1])[:LONGEST_NAME] if path else "the request"
    if error["type"] == "missing":
        return f"{name} is missing"
    if error["type"] == "extra_forbidden":
        return f"{name} is not a field here{_suggestion(name)}"
    if error["type"] == "union_tag_not_found":
        return "type is missing: it says which method is meant"
    if error["type"] == "union_tag_invalid":
        expected = error["ctx"]["expected_tags"]
        tag = error["ctx"]["tag"]
        return f"type = {shown(tag)} is not one of {expected}{_suggestion(tag[:LONGEST_NAME], expected)}"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] in ("value_error", "one_condition", "seed_too_large"):  # ours, which name the value themselves
        return message
    return f"{name} = {shown(error['input'])}: {message[:1].lower()}{message[1:]}"


def shown(value: Any) -> str:
    """A client's value in a message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _suggestion(name: str, expected: str | None = None) -> str:
    known = _field_names() if expected is None else [tag.strip(" '") for tag in expected.split(",")]
    close = [] if name in known else difflib.get_close_matches(name, known, n=1)  # a field, but of something else
    return f"; did you mean {close[0]!r}?" if close else ""


@cache
def _field_names() -> list[str]:
    models: list[type[BaseModel]] = [ComparisonRequest, ComparedSpec, Output, GuidanceSpec]
    models += [member for stage in UNIONS for member in members(stage)]
    return sorted({name for model in models for name in model.model_fields})
