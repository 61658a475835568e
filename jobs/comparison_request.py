"""What a client asks to have compared."""

from __future__ import annotations

from math import prod
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WrapValidator,
    model_validator,
)

from guidance.samplers import DDIM, AnySampler
from guidance.spec import GuidanceSpec
from jobs.request import GenerationRequest

MAX_SPECS = 32
MAX_IMAGES = 128
MAX_DEPTH = 32


def _shallow(value: Any) -> Any:
    """The value, unless it is nested deeper than any spec: the code that goes through it is recursive."""
    level = [value] if _holds(value) else []
    for _depth in range(MAX_DEPTH):
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one) if _holds(inner)]
        if not level:
            return value
    raise ValueError(f"nested deeper than {MAX_DEPTH} levels")


def _holds(value: Any) -> bool:
    return isinstance(value, dict | list)


def _in_order(value: Any) -> Any:
    """The same with sorted keys: the order in which a client writes them means nothing."""
    if isinstance(value, dict):
        return {name: _in_order(value[name]) for name in sorted(value)}
    return [_in_order(inner) for inner in value] if isinstance(value, list) else value


T = TypeVar("T")
Unchecked = Annotated[T, WrapValidator(lambda value, _: _shallow(value)), PlainSerializer(_in_order)]
"""Kept as it came: whether it is right shows in the generations that are made of it."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=120)]
Values = Annotated[list[Any], AfterValidator(_shallow), Field(min_length=1, max_length=MAX_SPECS)]


class ComparedSpec(BaseModel):
    """One of the specs to compare. What it leaves out is as in the comparison."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Name | None = Field(None, description="its name in pictures and tables; null: what varies between the specs")
    guidance: Unchecked[GuidanceSpec] = Field(default_factory=GuidanceSpec)
    sampler: Unchecked[AnySampler] = Field(default_factory=DDIM)
    negative_prompt: str = Field("", max_length=4000, description="what to move away from; text-conditional models")


class ComparisonRequest(GenerationRequest):
    """A generation, and what to run it under: a list of specs, or a grid of parameters. All share the initial noise."""

    guidance: Unchecked[GuidanceSpec] = Field(
        default_factory=GuidanceSpec, description="of specs that have none of their own, and what a grid varies"
    )
    sampler: Unchecked[AnySampler] = Field(default_factory=DDIM)
    diagnostics: Literal["off", "summary", "full"] = Field(
        "full", description="what is recorded: a few numbers, or all of each step and what methods saw, as pictures"
    )
    specs: list[ComparedSpec] | None = Field(None, min_length=1, max_length=MAX_SPECS)
    grid: dict[str, Values] | None = Field(
        None,
        min_length=1,
        max_length=8,
        description="JSON pointer to a parameter under /guidance, /sampler or /negative_prompt -> values it takes; "
        f"all combinations are run, at most {MAX_SPECS}",
        examples=[{"/guidance/schedule/weight": [1, 3, 7.5], "/guidance/combiner/type": ["cfg", "apg"]}],
    )

    @property
    def count(self) -> int:
        """Specs that it comes to."""
        return len(self.specs) if self.specs else prod(map(len, (self.grid or {}).values()))

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.specs is None) == (self.grid is None):
            given = "neither was" if self.grid is None else "both were"
            raise ValueError(f"one of specs and grid is needed; {given} given")
        if self.count > MAX_SPECS:
            raise ValueError(f"grid has {self.count} combinations: at most {MAX_SPECS} are compared")
        if self.count * self.n > MAX_IMAGES:
            raise ValueError(f"n = {self.n} under {self.count} specs: at most {MAX_IMAGES} images are compared")
        return self
