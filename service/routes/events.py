"""The events of a generation."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from service.gateway import Gateway, gateway
from service.pointers import shown
from service.problems import invalid, responses
from service.sse import stream

router = APIRouter(tags=["events"])

LAST = "number of the last event received: what came after it follows"


@router.get(
    "/v1/generations/{id}/events",
    operation_id="streamEvents",
    response_class=Response,
    responses={
        200: {
            "description": "Events up to `done`; the data of each is an `Event`",
            "content": {"text/event-stream": {"schema": {}}},  # of the whole, or of each event: readers differ
        },
        204: {"description": "Nothing follows the event named by Last-Event-ID"},
        **responses(404, 422, 503),
    },
)
async def stream_events(
    id: str,
    shared: Annotated[Gateway, Depends(gateway)],
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description=LAST, json_schema_extra={"pattern": "^[0-9]{0,15}$"})
    ] = None,
) -> Response:
    """Follow a generation: status, step, preview, image, done. Resumable; `gap` says what is no longer kept."""
    after = _number(last_event_id)
    record = await run_in_threadpool(shared.record, id)
    if record.terminal and after == record.seq:
        return Response(status_code=204)  # tells a browser's EventSource to stop coming back
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx: pass each event on at once
    # A number that was not given out yet can only come from before a loss of data: go on from what there is.
    events = stream(shared, record, min(after, record.seq))
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


def _number(last_event_id: str | None) -> int:
    if not last_event_id:
        return 0
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 16):
        detail = f"Last-Event-ID = {shown(last_event_id)} is not the number of an event"
        raise invalid("invalid_event_id", detail, pointer="/Last-Event-ID", location="header")
    return int(last_event_id)
