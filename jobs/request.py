"""What a client asks for, and what it comes to for a given model."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from guidance.companions import companion_problems
from guidance.info import ModelInfo, Problem
from guidance.samplers import DDIM, AnySampler
from guidance.spec import GuidanceSpec
from jobs.settings import Settings
from jobs.source import Source
from jobs.webhook import Webhook

MAX_SEED = 2**32 - 1
"""torch's CPU generator reads 32 bits of a seed: beyond, seeds would repeat pictures."""

Label = Annotated[str, StringConstraints(max_length=64)]
Text = Annotated[str, StringConstraints(max_length=512)]


class Output(BaseModel):
    """How the images are delivered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["png", "webp", "jpeg"] = "png"
    previews: int = Field(0, ge=0, le=16, description="preview images per image on the way, as events")
    embed: bool = Field(
        True,
        description="whether each file holds the request that makes its image again, without metadata and without "
        "pictures, of which it holds the sha256; left out where it takes more than 60 KiB",
    )


class GenerationRequest(BaseModel):
    """A generation. Only `prompt` (or `label`) is required; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)  # errors get logged

    model: str = Field("shapes", min_length=1, max_length=200, description="a model of GET /v1/models")
    prompt: str | None = Field(None, max_length=4000, description="what to show; text-conditional models")
    label: int | None = Field(None, ge=0, description="class index; label-conditional models")
    negative_prompt: str = Field("", max_length=4000, description="what to move away from; text-conditional models")
    n: int = Field(1, ge=1, le=16, description="number of images; image k has the seed `seed + k`")
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="null: drawn, and returned")
    width: int | None = Field(None, gt=0, description="pixels; null: the model's own")
    height: int | None = Field(None, gt=0, description="pixels; null: the model's own")
    sampler: AnySampler = Field(default_factory=DDIM)
    guidance: GuidanceSpec = Field(default_factory=GuidanceSpec)
    source: Source | None = Field(None, description="a picture to begin from; null: begin from noise")
    output: Output = Field(default_factory=Output)
    diagnostics: Literal["off", "summary", "full"] = Field(
        "summary", description="what is recorded: a few numbers, or all of each step and what methods saw, as pictures"
    )
    priority: Literal["low", "normal", "high"] = Field("normal", description="who waits is served by it, then by age")
    webhook: Webhook | None = Field(None, description="a URL to be told when it ends; null: nobody is told")
    metadata: dict[Label, Text] = Field(default_factory=dict, max_length=16, description="kept and returned unread")

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        if (self.prompt is None) == (self.label is None):
            given = "neither was given" if self.prompt is None else "both were given"
            raise PydanticCustomError("one_condition", "one of prompt and label is needed; {given}", {"given": given})
        return self

    @model_validator(mode="after")
    def _last_seed_fits(self) -> Self:
        if self.seed is not None and self.seed + self.n - 1 > MAX_SEED:
            raise PydanticCustomError(
                "seed_too_large",
                "seed = {seed} with n = {n}: the last image's seed would pass {bound}",
                {"seed": self.seed, "n": self.n, "bound": MAX_SEED},
            )
        return self


class RequestProblems(Exception):
    """A request that is well formed but cannot be run; one problem per place in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.detail for problem in problems))
        self.problems = tuple(problems)


def resolve(
    request: GenerationRequest,
    info: ModelInfo,
    settings: Settings | None = None,
    beside: Mapping[str, ModelInfo] | None = None,
) -> GenerationRequest:
    """Fill in every default as it comes to for this model; raise RequestProblems when the model cannot run it.

    `beside` are the models that a worker serves together with it.
    """
    width, height = request.width or info.width, request.height or info.height
    unrunnable = info.problems(request.guidance, request.sampler)
    problems = [
        *_condition_problems(request, info),
        *info.size_problems(width, height),
        *unrunnable,
        *info.picture_problems(request.guidance, width, height),
        *companion_problems(request.guidance, info, beside or {}, (width, height)),
        *(_limit_problems(request, settings) if settings else ()),
    ]
    if request.source:
        problems += request.source.problems(info, width, height, request.n)
        if not unrunnable:  # else there may be no levels to look at
            problems += request.source.sampler_problems(request.guidance, request.sampler, info)
    if problems:
        raise RequestProblems(problems)
    return request.model_copy(
        update={
            "width": width,
            "height": height,
            "seed": request.seed if request.seed is not None else secrets.randbelow(MAX_SEED + 2 - request.n),
            "sampler": resolve_sampler(request.sampler, info),
        }
    )


def resolve_sampler(sampler: AnySampler, info: ModelInfo) -> AnySampler:
    """The sampler with the model's own spacing written out."""
    resolved: AnySampler = sampler.model_copy(update={"spacing": sampler.resolved_spacing(info.noise)})
    return resolved


def _condition_problems(request: GenerationRequest, info: ModelInfo) -> list[Problem]:
    found = info.condition_problems("", request.prompt if request.label is None else request.label)
    if request.negative_prompt and info.condition == "label":
        detail = f"{info.id} takes labels and no text, so there is no negative prompt"
        found.append(Problem("/negative_prompt", "wrong_condition", detail))
    return found


def _limit_problems(request: GenerationRequest, settings: Settings) -> list[Problem]:
    found = []
    if request.n > settings.max_n:
        found.append(Problem("/n", "too_many_images", f"n = {request.n}: this service makes at most {settings.max_n}"))
    if request.sampler.steps > settings.max_steps:
        detail = f"steps = {request.sampler.steps}: this service takes at most {settings.max_steps}"
        found.append(Problem("/sampler/steps", "too_many_steps", detail))
    if request.webhook:
        found += request.webhook.problems(settings.allowed)
    return found
