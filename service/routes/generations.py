"""Generations: post, read, list, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from jobs.ids import ID, is_id
from jobs.order import Terms
from jobs.record import Record, Status
from jobs.request import GenerationRequest
from service.gateway import Gateway, gateway
from service.idempotency import REPLAYED, IdempotencyKey, once
from service.job import etag, path
from service.negotiation import MAX_WAIT_SECONDS, CancelAfter, cancel_after_seconds, unchanged, wait_seconds
from service.pointers import shown
from service.problems import invalid, responses
from service.schemas import Generation, GenerationList
from service.submission import accepted
from service.waiting import changed, ended

router = APIRouter(tags=["generations"])
Shared = Annotated[Gateway, Depends(gateway)]

PREFER = f"wait=N: answer when it has ended, or after N seconds (at most {MAX_WAIT_SECONDS})"
WAIT = "seconds to wait until it has ended; with If-None-Match: until it has changed"
HEADERS = {
    "Location": {"description": "the generation", "schema": {"type": "string"}},
    "Preference-Applied": {"description": "the wait, when one was asked for", "schema": {"type": "string"}},
    **REPLAYED,
}


@router.post(
    "/v1/generations",
    operation_id="createGeneration",
    status_code=202,
    response_model=Generation,
    response_description="Accepted: it will be run",
    responses={
        202: {"headers": HEADERS},
        200: {"model": Generation, "description": "Accepted, and ended within the wait", "headers": HEADERS},
        **responses(413, 415, 422, 429, 503),
    },
)
async def create_generation(
    request: GenerationRequest,
    shared: Shared,
    prefer: Annotated[str | None, Header(alias="Prefer", description=PREFER)] = None,
    idempotency_key: IdempotencyKey = None,
    cancel_after: CancelAfter = None,
) -> Response:
    """Post a prompt and a guidance spec. Nothing is queued that a worker would refuse."""
    terms = Terms(
        tenant=shared.tenant, once=once(idempotency_key, request), cancel_after=cancel_after_seconds(cancel_after)
    )
    record, again, body = await run_in_threadpool(_created, shared, request, terms)
    headers = {"Location": path(record.id)} | ({"Idempotent-Replayed": "true"} if again else {})
    wait = wait_seconds(prefer)
    if wait is not None:
        record = await ended(shared, record, wait)
        body = await run_in_threadpool(_body, shared, record)
        headers["Preference-Applied"] = f"wait={wait}"
    status = 200 if record.terminal else 202
    return Response(body, status, headers=headers, media_type="application/json")


@router.get(
    "/v1/generations/{id}",
    operation_id="getGeneration",
    response_model=Generation,
    response_description="The generation",
    responses={
        200: {"headers": {"ETag": {"schema": {"type": "string"}}}},
        304: {"description": "Unchanged since the ETag in If-None-Match"},
        **responses(404, 422, 503),
    },
)
async def get_generation(
    id: str,
    shared: Shared,
    wait: Annotated[int, Query(ge=0, le=MAX_WAIT_SECONDS, description=WAIT)] = 0,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """The generation as it stands, at once or when there is something new."""
    record, body = await run_in_threadpool(_found, shared, id)
    if wait and (not if_none_match or unchanged(etag(record), if_none_match)):
        record = await (changed if if_none_match else ended)(shared, record, wait)
        body = await run_in_threadpool(_body, shared, record)
    headers = {"ETag": etag(record), "Cache-Control": "private, no-cache"}
    if unchanged(etag(record), if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


@router.get(
    "/v1/generations", operation_id="listGenerations", response_description="A page", responses=responses(422, 503)
)
def list_generations(
    shared: Shared,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[
        str | None, Query(description="`next_cursor` of the page before", json_schema_extra={"pattern": ID})
    ] = None,
    status: Annotated[Status | None, Query(description="only those in this status")] = None,
) -> GenerationList:
    """Generations, newest first."""
    if after is not None and not is_id(after):
        raise invalid("invalid_cursor", f"after = {shown(after)} is no cursor", pointer="/after", location="query")
    page = shared.store.page(limit, after, status, shared.tenant)
    data = [shared.render(record) for record in page.records]
    return GenerationList(data=data, next_cursor=page.next_cursor, has_more=page.next_cursor is not None)


@router.post(
    "/v1/generations/{id}/cancel",
    operation_id="cancelGeneration",
    response_description="The generation, ended or about to end",
    responses=responses(404, 503),
)
def cancel_generation(id: str, shared: Shared) -> Generation:
    """End it at once if it waits, within a step if it runs; without effect if it has ended."""
    return shared.render(shared.store.cancel(shared.record(id).id) or shared.record(id))


# A change of threads costs as much as a round trip, so one does all that there is to do.


def _created(shared: Gateway, request: GenerationRequest, terms: Terms) -> tuple[Record, bool, bytes]:
    record, again = accepted(shared, request, terms)
    return record, again, _body(shared, record)


def _found(shared: Gateway, id: str) -> tuple[Record, bytes]:
    record = shared.record(id)
    return record, _body(shared, record)


def _body(shared: Gateway, record: Record) -> bytes:
    return shared.render(record).model_dump_json().encode()
