"""What OpenAI's clients are answered: images in one piece, or events on the way to one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from service.openai.errors import OpenAIErrorDetails


class InputTokens(BaseModel):
    image_tokens: int = 0
    text_tokens: int = 0


class ImagesUsage(BaseModel):
    """No tokens are counted here, so their numbers are 0; they are there for clients that read them."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    input_tokens_details: InputTokens = Field(default_factory=InputTokens)
    nfe: int = Field(description="network evaluations that were run")


class CreatedImage(BaseModel):
    """One of `b64_json` and `url` is there, as `response_format` asked."""

    b64_json: str | None = None
    url: str | None = Field(None, description="where the bytes are for as long as they are kept")
    seed: int = Field(description="alone it reproduces this image")


class ImagesResponse(BaseModel):
    """OpenAI's, without `quality`: none of its values would say anything true here."""

    created: int = Field(description="seconds since 1970")
    data: list[CreatedImage]
    background: str = "opaque"
    output_format: str
    size: str = Field(description="WIDTHxHEIGHT in pixels")
    usage: ImagesUsage


class _ImageEvent(BaseModel):
    b64_json: str = Field(description="the bytes in Base64")
    created_at: int = Field(description="seconds since 1970")
    size: str = Field(description="WIDTHxHEIGHT of the image that was asked for; a preview is at most 256 pixels long")
    output_format: str = Field(description="of these bytes")
    quality: str = "auto"
    background: str = "opaque"


class ImagePartialEvent(_ImageEvent):
    """The denoised estimate as it stands, a PNG."""

    type: Literal["image_generation.partial_image"]
    partial_image_index: int = Field(description="from 0")


class ImageCompletedEvent(_ImageEvent):
    """The image. Nothing follows it."""

    type: Literal["image_generation.completed"]
    seed: int = Field(description="it reproduces this image")
    usage: ImagesUsage


class ImageErrorEvent(BaseModel):
    """There will be no image. Nothing follows it."""

    type: Literal["error"]
    error: OpenAIErrorDetails


ImageStreamEvent = Annotated[ImagePartialEvent | ImageCompletedEvent | ImageErrorEvent, Field(discriminator="type")]
