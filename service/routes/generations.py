"""Generations: post, read, list, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from jobs.ids import is_id
from jobs.record import Status
from jobs.request import GenerationRequest
from service.gateway import Gateway, gateway
from service.job import path
from service.negotiation import MAX_WAIT_SECONDS, wait_seconds
from service.pointers import shown
from service.problems import invalid, not_found, responses
from service.schemas import Generation, GenerationList
from service.submission import submit
from service.waiting import ended

router = APIRouter(tags=["generations"])
Shared = Annotated[Gateway, Depends(gateway)]

PREFER = f"wait=N: answer when it has ended, or after N seconds (at most {MAX_WAIT_SECONDS})"
HEADERS = {
    "Location": {"description": "the generation", "schema": {"type": "string"}},
    "Preference-Applied": {"description": "the wait, when one was asked for", "schema": {"type": "string"}},
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
        **responses(413, 415, 422, 503),
    },
)
async def create_generation(
    request: GenerationRequest,
    shared: Shared,
    prefer: Annotated[str | None, Header(alias="Prefer", description=PREFER)] = None,
) -> Response:
    """Post a prompt and a guidance spec. Nothing is queued that a worker would refuse."""
    record = await run_in_threadpool(submit, shared, request)
    headers = {"Location": path(record.id)}
    wait = wait_seconds(prefer)
    if wait is not None:
        record = await ended(shared, record, wait)
        headers["Preference-Applied"] = f"wait={wait}"
    job = await run_in_threadpool(shared.render, record)
    return Response(
        job.model_dump_json(), 200 if record.terminal else 202, headers=headers, media_type="application/json"
    )


@router.get(
    "/v1/generations/{id}",
    operation_id="getGeneration",
    response_description="The generation",
    responses=responses(404, 503),
)
def get_generation(id: str, shared: Shared) -> Generation:
    """The generation as it stands."""
    return shared.render(shared.record(id))


@router.get(
    "/v1/generations", operation_id="listGenerations", response_description="A page", responses=responses(422, 503)
)
def list_generations(
    shared: Shared,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(description="`next_cursor` of the page before")] = None,
    status: Annotated[Status | None, Query(description="only those in this status")] = None,
) -> GenerationList:
    """Generations, newest first."""
    if after is not None and not is_id(after):
        raise invalid("invalid_cursor", f"after = {shown(after)} is no cursor", pointer="/after", location="query")
    page = shared.store.page(limit, after, status)
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
    record = shared.store.cancel(id)
    if record is None:
        raise not_found(f"generation {id}")
    return shared.render(record)
