"""Comparisons: post, read, list, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from jobs.comparison_request import ComparisonRequest
from jobs.ids import ID, is_id
from jobs.order import Terms
from service.comparing import accepted, found
from service.comparison import etag, path, render
from service.comparison_schemas import Comparison, ComparisonList
from service.comparison_waiting import all_ended, any_changed
from service.gateway import Gateway, gateway
from service.idempotency import REPLAYED, IdempotencyKey, once
from service.negotiation import MAX_WAIT_SECONDS, CancelAfter, cancel_after_seconds, unchanged, wait_seconds
from service.pointers import shown
from service.problems import invalid, responses
from service.routes.generations import PREFER, WAIT

router = APIRouter(tags=["comparisons"])
Shared = Annotated[Gateway, Depends(gateway)]

HEADERS = {
    "Location": {"description": "the comparison", "schema": {"type": "string"}},
    "Preference-Applied": {"description": "the wait, when one was asked for", "schema": {"type": "string"}},
    **REPLAYED,
}


@router.post(
    "/v1/comparisons",
    operation_id="createComparison",
    status_code=202,
    response_model=Comparison,
    response_description="Accepted: all of its generations will be run",
    responses={
        202: {"headers": HEADERS},
        200: {"model": Comparison, "description": "Accepted, and ended within the wait", "headers": HEADERS},
        **responses(413, 415, 422, 429, 503),
    },
)
async def create_comparison(
    request: ComparisonRequest,
    shared: Shared,
    prefer: Annotated[str | None, Header(alias="Prefer", description=PREFER)] = None,
    idempotency_key: IdempotencyKey = None,
    cancel_after: CancelAfter = None,
) -> Response:
    """Post one prompt, and guidance specs or a grid of parameters to run it under. All are queued, or none."""
    terms = Terms(
        tenant=shared.tenant, once=once(idempotency_key, request), cancel_after=cancel_after_seconds(cancel_after)
    )
    comparison, again = await run_in_threadpool(accepted, shared, request, terms)
    headers = {"Location": path(comparison.id)} | ({"Idempotent-Replayed": "true"} if again else {})
    wait = wait_seconds(prefer)
    if wait is not None:
        comparison = await all_ended(shared, comparison, wait)
        headers["Preference-Applied"] = f"wait={wait}"
    status = 200 if comparison.terminal else 202
    return Response(render(comparison).model_dump_json(), status, headers=headers, media_type="application/json")


@router.get(
    "/v1/comparisons/{id}",
    operation_id="getComparison",
    response_model=Comparison,
    response_description="The comparison",
    responses={
        200: {"headers": {"ETag": {"schema": {"type": "string"}}}},
        304: {"description": "Unchanged since the ETag in If-None-Match"},
        **responses(404, 422, 503),
    },
)
async def get_comparison(
    id: str,
    shared: Shared,
    wait: Annotated[int, Query(ge=0, le=MAX_WAIT_SECONDS, description=WAIT)] = 0,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """The comparison as it stands, at once or when there is something new."""
    comparison = await run_in_threadpool(found, shared, id)
    if wait and unchanged(etag(comparison), if_none_match):
        comparison = await any_changed(shared, comparison, wait)
    elif wait and not if_none_match:
        comparison = await all_ended(shared, comparison, wait)
    headers = {"ETag": etag(comparison), "Cache-Control": "private, no-cache"}
    if unchanged(etag(comparison), if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(render(comparison).model_dump_json(), headers=headers, media_type="application/json")


@router.get(
    "/v1/comparisons", operation_id="listComparisons", response_description="A page", responses=responses(422, 503)
)
def list_comparisons(
    shared: Shared,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[
        str | None, Query(description="`next_cursor` of the page before", json_schema_extra={"pattern": ID})
    ] = None,
) -> ComparisonList:
    """Comparisons, newest first."""
    if after is not None and not is_id(after):
        raise invalid("invalid_cursor", f"after = {shown(after)} is no cursor", pointer="/after", location="query")
    page = shared.comparisons.page(limit, after, shared.tenant)
    data = [render(comparison) for comparison in page.comparisons]
    return ComparisonList(data=data, next_cursor=page.next_cursor, has_more=page.next_cursor is not None)


@router.post(
    "/v1/comparisons/{id}/cancel",
    operation_id="cancelComparison",
    response_description="The comparison, ended or about to end",
    responses=responses(404, 503),
)
def cancel_comparison(id: str, shared: Shared) -> Comparison:
    """End each of its generations that has not ended; without effect on those that have."""
    shared.comparisons.cancel(found(shared, id))
    return render(found(shared, id))
