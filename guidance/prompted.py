"""What a stage asks the network beside the request's own condition: another prompt, or another class."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from guidance.asked import Asked

Wanted = str | int | None
"""What a condition is made from: a prompt, a label, or None for the null condition."""


class Prompted(Asked):
    """A prompt, or the label of a class: as the request itself is conditioned."""

    prompt: str | None = Field(None, max_length=4000, description="text-conditional models")
    label: int | None = Field(None, ge=0, description="class index; label-conditional models")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.prompt is None) == (self.label is None):
            given = "neither was given" if self.prompt is None else "both were given"
            raise ValueError(f"one of prompt and label is needed; {given}")
        return self

    @property
    def wanted(self) -> Wanted:
        """The prompt or label; an empty prompt is the null condition."""
        return self.label if self.label is not None else self.prompt or None
