"""What a paper says, as expectations of a sweep's points: data in the sweep's file, decided by `evaluation.verdict`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from evaluation.metric import METRICS, PARTS
from guidance.asked import Asked


class Expectation(Asked):
    """One of `below`, `above`, `optimum` and `trend`.

    `of`, `below` and `above` name a point, or a curve: that stands for its best point by the metric.
    """

    metric: str
    of: str
    below: str | None = None
    above: str | None = None
    optimum: Literal["interior"] | None = Field(None, description="the curve's best point beats both of its ends")
    trend: Literal["rising", "falling"] | None = Field(None, description="from the curve's first point to its last")

    @field_validator("metric")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in METRICS and name not in PARTS:
            raise ValueError(f"metric = {name!r}: there are {', '.join([*METRICS, *PARTS])}")
        return name

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in ("below", "above", "optimum", "trend") if getattr(self, name) is not None]
        if len(given) != 1:
            said = " and ".join(given) or "none"
            raise ValueError(f"one of below, above, optimum and trend is needed; there is {said}")
        return self

    @property
    def others(self) -> list[str]:
        """The points or curves that it names."""
        return [name for name in (self.of, self.below, self.above) if name is not None]


class Claim(Asked):
    """A paper's statement and what it comes to here."""

    paper: str = Field(min_length=1, description="authors, year, arXiv number")
    says: str = Field(min_length=1, description="the statement, in the paper's sense")
    expect: list[Expectation] = Field(min_length=1)
