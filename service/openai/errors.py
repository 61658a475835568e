"""Errors in OpenAI's shape: what every refusal becomes on the routes that its clients call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field
from starlette.responses import Response

if TYPE_CHECKING:
    from service.problems import ProblemItem, Refusal

PREFIX = "/v1/images/"
"""Paths under which errors have this shape, also of routes that there are not."""
RENAMED = {"width": "size", "height": "size", "output": "output_format", "metadata": "user"}
"""Fields of a generation -> those of OpenAI's request that they come from."""


class OpenAIErrorDetails(BaseModel):
    message: str = Field(description="everything that is wrong, each with field, value and bound")
    type: str = Field(description="invalid_request_error, rate_limit_error or server_error")
    param: str | None = Field(description="the field that is wrong, the first of several")
    code: str = Field(description="stable name of what is wrong")


class OpenAIError(BaseModel):
    """What every error of OpenAI's routes holds."""

    error: OpenAIErrorDetails


def openai_response(refusal: Refusal) -> Response:
    """The answer, with the status that OpenAI's clients raise the right exception for."""
    body = OpenAIError(error=details(refusal)).model_dump_json()
    return Response(body, _status(refusal), refusal.headers, media_type="application/json")


def details(refusal: Refusal) -> OpenAIErrorDetails:
    found, status = refusal.errors, _status(refusal)
    return OpenAIErrorDetails(
        message="; ".join(item.detail for item in found) or refusal.detail,
        type="server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error",
        param=_param(found[0]) if found else None,
        code="model_not_found" if status == 404 and found else found[0].code if found else refusal.code,
    )


def _status(refusal: Refusal) -> int:
    """OpenAI says 400 of any request that is wrong, and 404 of a model that there is not."""
    if any(item.code == "unknown_model" and item.pointer == "/model" for item in refusal.errors):
        return 404
    return 400 if refusal.status == 422 else refusal.status


def _param(item: ProblemItem) -> str | None:
    """/guidance/correction/0/phi becomes guidance.correction[0].phi."""
    name, *steps = item.pointer.split("/")[1:] or [""]
    if name in RENAMED:
        return RENAMED[name]
    return name + "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in steps) or None
