"""Errors as problem details (RFC 9457): one shape for everything that goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from guidance.info import Problem as Finding
from service.openai.errors import PREFIX, openai_response

MEDIA_TYPE = "application/problem+json"
REDIS_RETRY_SECONDS = 2
STORAGE_RETRY_SECONDS = 10
RETRYABLE = frozenset({408, 429, 503})

PHRASES = {413: "Content too large", 422: "Unprocessable content"}

TITLES = {
    "invalid_request": "The request is not valid",
    "unsupported": "The model cannot run this request",
    "missing_key": "An API key is needed",
    "invalid_key": "The API key is not valid",
    "missing_scope": "The API key may not do this",
    "key_in_url": "An API key does not belong in a URL",
    "rate_limited": "Too many requests",
    "too_many_active": "Too many generations are under way",
    "quota_exceeded": "The quota of the day is spent",
    "no_workers": "No worker is up",
    "queue_full": "The queue is full",
    "redis_away": "The queue cannot be reached",
    "storage_away": "The images cannot be reached",
    "foreign_host": "The service is not known under this name",
    "body_too_slow": "The request body takes too long",
    "body_too_large": "The request body is too large",
    "not_ready": "Not there yet",
    "expired": "No longer kept",
    "not_recorded": "Not recorded",
    "internal_error": "The service failed",
}
"""Titles of problem codes; a code not named here has the title of its HTTP status."""


class ProblemItem(BaseModel):
    """One thing wrong with a request."""

    pointer: str = Field(description="JSON pointer (RFC 6901) to the place, within `location`")
    code: str = Field(description="stable name of what is wrong")
    detail: str = Field(description="field, value and bound in a sentence")
    location: str = Field("body", description="body, query, header or path")


class Problem(BaseModel):
    """What every error response holds (RFC 9457), under application/problem+json."""

    type: str = Field(description="URI of the kind of problem")
    title: str
    status: int
    detail: str
    instance: str | None = Field(None, description="path of the request, or of the generation that failed")
    code: str = Field(description="stable name of the kind of problem")
    request_id: str | None = Field(None, description="as in X-Request-Id")
    retryable: bool = Field(False, description="whether the same request may succeed later")
    errors: list[ProblemItem] = Field(default_factory=list)


class Refusal(Exception):
    """Raised where a request cannot be answered; becomes a problem response."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[ProblemItem] = (),
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)


def redis_away(detail: str = "Redis cannot be reached") -> Refusal:
    return Refusal(503, "redis_away", detail, retry_after=REDIS_RETRY_SECONDS)


def storage_away() -> Refusal:
    detail = "the store of images cannot be used; the log has the reason"
    return Refusal(503, "storage_away", detail, retry_after=STORAGE_RETRY_SECONDS)


def not_found(what: str) -> Refusal:
    return Refusal(404, "not_found", f"{what} is unknown")


def refused(findings: Sequence[Finding]) -> Refusal:
    """A well-formed request that cannot be run."""
    errors = [ProblemItem(pointer=found.pointer, code=found.code, detail=found.detail) for found in findings]
    return Refusal(422, "unsupported", summed_up(errors), errors=errors)


def invalid(code: str, detail: str, *, pointer: str, location: Literal["body", "query", "header"] = "body") -> Refusal:
    """One thing that is wrong with the request itself."""
    item = ProblemItem(pointer=pointer, code=code, detail=detail, location=location)
    return Refusal(422, "invalid_request", detail, errors=[item])


def summed_up(errors: Sequence[ProblemItem], total: int = 0) -> str:
    """A detail for several errors: the first one, and how many more there are; `total` where not all are named."""
    more = max(len(errors), total) - 1
    return errors[0].detail + (f" (and {more} more)" if more else "")


def kind(code: str) -> str:
    return f"urn:guidepost:problem:{code}"


def title(code: str, status: int) -> str:
    return TITLES.get(code) or phrase(status)


def code_of(status: int) -> str:
    """The code of an error that the framework raised: method_not_allowed, ..."""
    return phrase(status).lower().replace(" ", "_")


def phrase(status: int) -> str:
    """What a status means. Our own words where those of Python's library changed between versions."""
    return PHRASES.get(status) or HTTPStatus(status).phrase.capitalize()


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document: problem responses with these statuses, and that any other error is one too."""
    content = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    named: dict[int | str, dict[str, Any]] = {status: {"description": phrase(status), **content} for status in statuses}
    return named | {"default": {"description": "Any other problem", **content}}


def respond(request: Request, refusal: Refusal) -> Response:
    """The problem response, in the dialect of the route; also counted in the metrics under its code."""
    request.state.problem_code = refusal.code
    if request.url.path.startswith(PREFIX):
        return openai_response(refusal)
    problem = Problem(
        type=kind(refusal.code),
        title=title(refusal.code, refusal.status),
        status=refusal.status,
        detail=refusal.detail,
        instance=request.url.path,
        code=refusal.code,
        request_id=getattr(request.state, "request_id", None),
        retryable=refusal.status in RETRYABLE or refusal.code == "not_ready",
        errors=refusal.errors,
    )
    return Response(problem.model_dump_json(), refusal.status, refusal.headers, media_type=MEDIA_TYPE)


def job_problem(code: str, detail: str, *, retryable: bool, instance: str) -> dict[str, Any]:
    """The `error` of a generation that failed, in the same shape."""
    return Problem(
        type=kind(code),
        title=code.replace("_", " ").capitalize(),
        status=500,
        detail=detail,
        instance=instance,
        code=code,
        retryable=retryable,
    ).model_dump()
