"""Guidance weights, and the other ways in which papers count them. The only place where they are converted."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from typing_extensions import TypeAliasType

LOWEST, HIGHEST = -1000, 1000
OTHERS = frozenset({"gamma", "ho_salimans"})
"""The other conventions. In both a number is w - 1."""


class GammaWeight(BaseModel):
    """The weight of cond + gamma (cond - uncond): w - 1, off at 0."""

    model_config = ConfigDict(extra="forbid")

    gamma: float = Field(ge=LOWEST - 1, le=HIGHEST - 1)


class HoSalimansWeight(BaseModel):
    """The weight of (1 + w) cond - w uncond (Ho & Salimans 2022, arXiv:2207.12598, eq. 6): ours less 1, off at 0."""

    model_config = ConfigDict(extra="forbid")

    ho_salimans: float = Field(ge=LOWEST - 1, le=HIGHEST - 1)


def in_w(value: Any) -> Any:
    """A weight as a client wrote it, in w; a plain number is w already."""
    if not isinstance(value, dict):
        return value
    if len(value) != 1 or OTHERS.isdisjoint(value):
        raise ValueError('a weight is a number w, or w - 1 as {"gamma": ...} or {"ho_salimans": ...}')
    [(name, less)] = value.items()
    if type(less) not in (int, float) or not LOWEST - 1 <= less <= HIGHEST - 1:
        raise ValueError(f"{name} is not a number from {LOWEST - 1} to {HIGHEST - 1}")
    return less + 1


def in_another_convention(raw: Any) -> bool:
    """Whether a weight anywhere within `raw`, a schedule as a client wrote it, is not in w."""
    if isinstance(raw, dict):
        return not OTHERS.isdisjoint(raw) or any(map(in_another_convention, raw.values()))
    return isinstance(raw, list | tuple) and any(map(in_another_convention, raw))


_W = Annotated[float, Field(ge=LOWEST, le=HIGHEST)]
GuidanceWeight = TypeAliasType("GuidanceWeight", _W | GammaWeight | HoSalimansWeight)

Weight = Annotated[_W, BeforeValidator(in_w, json_schema_input_type=GuidanceWeight)]
"""A guidance weight; 1 is the plain conditional model, 0 the unconditional one.

Read in any convention, kept in w: a resolved spec holds nothing else.
"""
