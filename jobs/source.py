"""The picture that a generation begins from, as a request says it."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from guidance.asked import Asked
from guidance.info import ModelInfo, Problem
from guidance.inversion import inversion_problems
from guidance.picture import Picture, broken, misfit
from guidance.prompted import Wanted
from guidance.samplers import AnySampler
from guidance.schedules.weights import HIGHEST, LOWEST
from guidance.spec import GuidanceSpec


class Source(Asked):
    """A picture to begin from, by DDIM inversion: plain, or with CFG++ where the combiner is cfgpp."""

    image: Picture = Field(description="the picture as a data URL, of the size of the image")
    prompt: str | None = Field(None, max_length=4000, description="what it shows; null: the request's own prompt")
    label: int | None = Field(None, ge=0, description="the class it shows; null: the request's own label")
    weight: float | None = Field(
        None, ge=LOWEST, le=HIGHEST, description="of the inversion; null: the weights of the guidance, step by step"
    )

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        if self.prompt is not None and self.label is not None:
            raise PydanticCustomError("one_condition", "at most one of prompt and label may be given; both were")
        return self

    @property
    def wanted(self) -> Wanted:
        """What it shows; None: what the request asks for."""
        return self.prompt if self.label is None else self.label

    def problems(self, info: ModelInfo, width: int, height: int, n: int) -> list[Problem]:
        """What of it the model cannot begin an image of this size from."""
        found = [] if self.wanted is None else info.condition_problems("/source", self.wanted)
        if detail := misfit(self.image, width, height):
            found.append(Problem("/source/image", "wrong_picture_size", detail))
        elif detail := broken(self.image):
            found.append(Problem("/source/image", "picture", detail))
        if n > 1:
            detail = f"n = {n}: images that begin from one source are all the same, so there is at most 1"
            found.append(Problem("/n", "too_many_images", detail))
        return found

    def sampler_problems(self, guidance: GuidanceSpec, sampler: AnySampler, info: ModelInfo) -> list[Problem]:
        """Why it cannot be inverted; of a guidance and a sampler that the model can run."""
        return inversion_problems(guidance, sampler, info, self.weight)
