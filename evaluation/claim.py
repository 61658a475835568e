"""What a paper says, as expectations of a sweep's points: data in the sweep's file, decided by `evaluation.verdict`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from evaluation.metric import Named, metric
from guidance.asked import Asked

KINDS = ("below", "above", "optimum", "trend")


class Expectation(Asked):
    """One of `below`, `above`, `optimum` and `trend`.

    `of`, `below` and `above` name a point, or a curve: that stands for its best point by `best_by`.
    """

    metric: Named
    of: str
    below: str | None = None
    above: str | None = None
    optimum: Literal["interior"] | None = Field(None, description="the curve's best point beats both of its ends")
    trend: Literal["rising", "falling"] | None = Field(None, description="from the curve's first point to its last")
    best_by: Named | None = Field(None, description="with below and above, what a curve's best is; null: the metric")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            said = " and ".join(given) or "none"
            raise ValueError(f"one of below, above, optimum and trend is needed; there is {said}")
        if self.best_by is not None and (self.optimum is not None or self.trend is not None):
            raise ValueError(f"best_by = {self.best_by!r}: goes with below and above; there is {given[0]}")
        if self.best_by is not None and metric(self.best_by).better == "neither":
            raise ValueError(f"best_by = {self.best_by!r}: neither way is better, so no point is best")
        return self

    @property
    def kind(self) -> str:
        """Which of the four."""
        return next(name for name in KINDS if getattr(self, name) is not None)

    @property
    def others(self) -> list[str]:
        """The points or curves that it names."""
        return [name for name in (self.of, self.below, self.above) if name is not None]


class Claim(Asked):
    """A paper's statement and what it comes to here."""

    paper: str = Field(min_length=1, description="authors, year, arXiv number")
    says: str = Field(min_length=1, description="the statement, in the paper's sense")
    expect: list[Expectation] = Field(min_length=1)
