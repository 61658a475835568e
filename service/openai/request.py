"""What OpenAI's clients ask for, and the generation that it comes to.

What a client may send by itself is accepted. What would change the picture and cannot be honoured is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

from guidance.samplers import DDIM, AnySampler
from guidance.spec import GuidanceSpec
from jobs.request import MAX_SEED, GenerationRequest, Output
from jobs.source import Source

DEFAULT_MODEL: str = GenerationRequest.model_fields["model"].default
SIZE = r"^(auto|[1-9][0-9]{0,4}x[1-9][0-9]{0,4})$"

UNSUPPORTED = {
    "style": "there are no styles here; describe it in the prompt",
    "complexity": "there is no planning here; `sampler` says how much is computed",
    "frame_count": "only single images are made",
    "frame_duration_ms": "only single images are made",
    "svg": "only png, webp and jpeg are made",
}
"""Fields of OpenAI's that have no meaning here, and would change the picture if they had."""


class ImageGenerationRequest(BaseModel):
    """OpenAI's request for images; the last five fields are this service's own (`extra_body` in Python's client).

    A member that is null counts as left out. Unknown fields are refused, and so are `style`, `complexity`,
    `frame_count`, `frame_duration_ms` and `svg`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = Field(max_length=4000, description="what to show")
    model: str = Field(DEFAULT_MODEL, min_length=1, max_length=200, description="a model of GET /v1/models")
    n: int = Field(1, ge=1, le=16, description="number of images; 1 with `stream`")
    size: str = Field("auto", pattern=SIZE, description="WIDTHxHEIGHT in pixels; auto: the model's own")
    response_format: Literal["b64_json", "url"] = Field("b64_json", description="bytes in Base64, or where they are")
    output_format: Literal["png", "webp", "jpeg"] = "png"
    output_compression: Literal[100] = Field(100, description="images are stored at the best quality of their format")
    background: Literal["auto", "opaque"] = Field("auto", description="every image is opaque")
    quality: Literal["auto", "standard"] = Field(
        "auto", description="both are what `sampler` and `guidance` make; other values are refused: say those instead"
    )
    moderation: Literal["auto", "low"] = Field("auto", description="accepted, without effect: nothing is filtered")
    user: str = Field("", max_length=512, description="kept in the generation's metadata, under `user`")
    safety_identifier: str = Field("", max_length=512, description="takes the place of `user`")
    stream: bool = Field(False, description="answer with server-sent events, the data of each an `ImageStreamEvent`")
    partial_images: int = Field(
        0, ge=0, le=3, description="previews on the way, small PNGs; fewer when there are fewer steps; with `stream`"
    )
    negative_prompt: str = Field("", max_length=4000, description="what to move away from")
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="left out: drawn, and returned")
    sampler: AnySampler = Field(default_factory=DDIM)
    guidance: GuidanceSpec = Field(default_factory=GuidanceSpec)
    source: Source | None = Field(None, description="a picture to begin from; left out: begin from noise")

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Null is allowed wherever something may be left out."""
        schema = handler.resolve_ref_schema(handler(core))
        for name in schema["properties"].keys() - schema["required"]:
            schema["properties"][name] = nullable(schema["properties"][name])
        return schema

    @model_validator(mode="before")
    @classmethod
    def _given(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        given = {name: value for name, value in data.items() if value is not None}
        for name in given.keys() & UNSUPPORTED.keys():
            _refuse(name, given[name], UNSUPPORTED[name])
        return given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.partial_images and not self.stream:
            _refuse("partial_images", self.partial_images, "they are sent with stream = true only")
        if self.stream and self.n > 1:
            _refuse("n", self.n, "with stream = true it is 1, as the events do not say which image they are of")
        if self.stream and self.response_format == "url":
            _refuse("response_format", self.response_format, "with stream = true it is b64_json")
        self.generation()  # refuses here what spans several of its fields
        return self

    def generation(self) -> GenerationRequest:
        """The same in this service's own terms."""
        width, height = map(int, self.size.split("x")) if self.size != "auto" else (None, None)
        who = self.safety_identifier or self.user
        return GenerationRequest(
            model=self.model,
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            n=self.n,
            seed=self.seed,
            width=width,
            height=height,
            sampler=self.sampler,
            guidance=self.guidance,
            source=self.source,
            output=Output(format=self.output_format, previews=self.partial_images),
            metadata={"user": who} if who else {},
        )


def nullable(schema: JsonSchemaValue) -> JsonSchemaValue:
    """The same or null, described as before."""
    outside: JsonSchemaValue = {key: schema[key] for key in ("description", "default") if key in schema}
    inside = {key: value for key, value in schema.items() if key not in (*outside, "title")}
    choices = inside.get("anyOf") or [inside]
    null = {"type": "null"}
    return {"anyOf": [*(choice for choice in choices if choice != null), null], **outside}


def _refuse(name: str, value: Any, reason: str) -> NoReturn:
    """An error of one field, found where several are looked at."""
    error = InitErrorDetails(type=PydanticCustomError("unsupported", reason), loc=(name,), input=value)
    raise ValidationError.from_exception_data("ImageGenerationRequest", [error])
