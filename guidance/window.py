"""A window of steps, for stages that may act in part of a trajectory."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from guidance.stage import Stage


class Windowed(Stage):
    """Acts from a share of the steps on, to before another."""

    start: float = Field(0.0, ge=0, le=1, description="share of the steps after which it begins")
    stop: float = Field(1.0, ge=0, le=1, description="share of the steps after which it ends")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.stop:
            raise ValueError(f"start = {self.start} must be below stop = {self.stop}")
        return self

    def active(self, index: int, count: int) -> bool:
        """Whether it acts at step `index` of `count`."""
        return self.start * count <= index < self.stop * count
