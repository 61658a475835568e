"""What the data of each server-sent event holds. For the OpenAPI document: clients read events as text."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.schemas import Generation


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")  # more members may come


class StatusEvent(_Open):
    type: Literal["status"]
    status: str
    status_reason: str | None = None
    attempts: int


class StepEvent(_Open):
    type: Literal["step"]
    step: int
    steps: int
    nfe_done: int
    nfe_total: int


class PreviewEvent(_Open):
    type: Literal["preview"]
    index: int = Field(description="of the image")
    step: int
    b64_png: str = Field(description="the denoised estimate as it stands")


class ImageEvent(_Open):
    """One image is finished, and can be fetched."""

    type: Literal["image"]
    index: int
    seed: int
    url: str


class DoneEvent(_Open):
    """The last one. Nothing follows it."""

    type: Literal["done"]
    job: Generation


class GapEvent(_Open):
    """Events `first` to `last` are no longer kept."""

    type: Literal["gap"]
    first: int
    last: int


Event = Annotated[
    StatusEvent | StepEvent | PreviewEvent | ImageEvent | DoneEvent | GapEvent, Field(discriminator="type")
]
