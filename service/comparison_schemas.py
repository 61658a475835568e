"""What the service answers about comparisons."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from jobs.comparison import ComparisonStatus
from service.problems import Problem
from service.schemas import Image, OpenStatus

OpenComparisonStatus = Annotated[
    str, Field(json_schema_extra={"x-extensible-enum": [status.value for status in ComparisonStatus]})
]


class ComparisonProgress(BaseModel):
    ended: int = Field(description="generations that have ended, in whatever way")
    generations: int
    nfe_done: int = Field(description="network evaluations done, all generations together")
    nfe_total: int


class ComparedRequest(BaseModel):
    """What all generations of a comparison have in common, with every default filled in."""

    model: str
    prompt: str | None
    label: int | None
    n: int
    seed: int
    width: int
    height: int
    source: dict[str, Any] | None = Field(description="as in the request")
    output: dict[str, Any] = Field(description="as in the request")
    diagnostics: str
    priority: str
    metadata: dict[str, str]


class ComparisonAxis(BaseModel):
    """A parameter that the grid varies."""

    pointer: str
    name: str = Field(description="as in the labels")
    values: list[str] = Field(description="as they are shown; the last axis varies fastest")


class ComparedGeneration(BaseModel):
    """One of the generations, an ordinary one: GET /v1/generations/{id} has all of it."""

    label: str = Field(description="all in a comparison differ")
    id: str
    status: OpenStatus
    status_reason: str | None
    guidance: dict[str, Any] = Field(description="every default filled in")
    sampler: dict[str, Any] = Field(description="every default filled in")
    negative_prompt: str
    images: list[Image]
    nfe_done: int = Field(description="network evaluations done")
    nfe_total: int
    run_seconds: float | None
    error: Problem | None
    links: GenerationLinks


class GenerationLinks(BaseModel):
    self: str
    events: str
    diagnostics: str


class ComparisonLinks(BaseModel):
    self: str
    cancel: str
    image: str = Field(description="a labelled grid of the images")
    diagnostics: str = Field(description="what was measured, side by side")


class Comparison(BaseModel):
    """A comparison as it stands."""

    id: str = Field(description="UUID version 7; later ones sort after earlier ones")
    object: Literal["comparison"]
    status: OpenComparisonStatus = Field(
        description="queued until one generation begins, running until all have ended; succeeded when all did, partial "
        "when some did; else failed, canceled or expired, the first of these that one of them is"
    )
    progress: ComparisonProgress
    request: ComparedRequest
    axes: list[ComparisonAxis] = Field(description="what the grid varies; empty where specs were listed")
    generations: list[ComparedGeneration] = Field(description="in the order of the specs, or of the grid")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None = Field(description="until when images and diagnostics are kept")
    links: ComparisonLinks


class ComparisonList(BaseModel):
    """A page of comparisons, newest first."""

    data: list[Comparison]
    next_cursor: str | None = Field(description="`after` of the next page")
    has_more: bool


class ComparedSeries(BaseModel):
    """One image of one generation: what item i of every column is of."""

    label: str
    generation: str
    index: int
    seed: int
    nfe: int = Field(description="network evaluations, of this image")
    run_seconds: float | None = Field(description="of its generation, all images together")
    summary: dict[str, Any]


class MissingSeries(BaseModel):
    """A generation of which there is nothing."""

    label: str
    generation: str
    reason: str


class ComparedDiagnostics(BaseModel):
    """What was measured, side by side."""

    series: list[ComparedSeries]
    columns: dict[str, list[list[float | None] | None]] = Field(
        description="quantity -> for each series one value per network call, or null where it has no such quantity; "
        "only with diagnostics = full"
    )
    units: dict[str, str] = Field(description="what each column means")
    missing: list[MissingSeries]


ComparedGeneration.model_rebuild()
