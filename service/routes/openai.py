"""The route that OpenAI's clients call to generate images."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from jobs.order import Terms
from jobs.record import Status
from service.gateway import Gateway, gateway
from service.idempotency import REPLAYED, IdempotencyKey, once
from service.job import path
from service.negotiation import CancelAfter, cancel_after_seconds
from service.openai.request import ImageGenerationRequest
from service.openai.response import images_response, unsuccessful
from service.openai.schemas import ImagesResponse
from service.openai.stream import image_stream
from service.problems import phrase
from service.submission import accepted
from service.waiting import abandon, finished, unless_gone

router = APIRouter(tags=["openai"])

CLIENT_GONE = 499
"""Known from nginx: nobody reads this answer."""
HEADERS = {
    "Location": {"description": "the generation", "schema": {"type": "string"}},
    "X-Generation-Id": {"description": "its id", "schema": {"type": "string"}},
    **REPLAYED,
}


def openai_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document: errors with these statuses, and that any other error has the same shape."""
    content = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/OpenAIError"}}}}
    named: dict[int | str, dict[str, Any]] = {status: {"description": phrase(status), **content} for status in statuses}
    return named | {"default": {"description": "Any other error", **content}}


@router.post(
    "/v1/images/generations",
    operation_id="createImage",
    response_model=ImagesResponse,
    responses={
        200: {
            "description": "The images; with `stream`, events whose data is an `ImageStreamEvent`",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
            "headers": HEADERS,
        },
        **openai_responses(400, 404, 409, 413, 415, 429, 500, 503),
    },
)
async def create_image(
    asked: ImageGenerationRequest,
    request: Request,
    shared: Annotated[Gateway, Depends(gateway)],
    idempotency_key: IdempotencyKey = None,
    cancel_after: CancelAfter = None,
) -> Response:
    """Generate images as OpenAI's API does, and wait for them. A client that leaves ends it, unless it sent a key."""
    terms = Terms(
        tenant=shared.tenant, once=once(idempotency_key, asked), cancel_after=cancel_after_seconds(cancel_after)
    )
    record, again = await run_in_threadpool(accepted, shared, asked.generation(), terms)
    headers = {"Location": path(record.id), "X-Generation-Id": record.id}
    headers |= {"Idempotent-Replayed": "true"} if again else {}
    keep = idempotency_key is not None  # whoever asks with the same key gets what was made
    if asked.stream:
        events = image_stream(shared, record, keep)
        unbuffered = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers | unbuffered)
    last = await unless_gone(request, finished(shared, record))
    if last is None:
        if not keep:
            await abandon(shared, record.id)
        return Response(status_code=CLIENT_GONE)
    if last.status != Status.SUCCEEDED:
        raise unsuccessful(last, headers)
    body = await run_in_threadpool(images_response, shared, last, asked.response_format, str(request.base_url))
    return Response(body.model_dump_json(exclude_none=True), headers=headers, media_type="application/json")
