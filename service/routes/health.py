"""Health and metrics, for orchestrators and Prometheus."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from jobs.connection import AWAY
from service.gateway import RETRY_SECONDS, Gateway, gateway
from service.problems import responses
from service.schemas import Check, Readiness

router = APIRouter(tags=["health"])
Shared = Annotated[Gateway, Depends(gateway)]


@router.get("/livez", operation_id="getLiveness", response_description="Alive")
def get_liveness() -> Check:
    """Whether this process answers."""
    return Check(ok=True, detail="alive")


@router.get(
    "/readyz",
    operation_id="getReadiness",
    response_model=Readiness,
    response_description="Ready",
    responses={503: {"model": Readiness, "description": "Not ready; the checks say why"}},
)
def get_readiness(shared: Shared) -> Response:
    """Whether a generation that is posted now would be run: Redis answers, and a worker is up."""
    checks = _checks(shared)
    answer = Readiness(ready=all(check.ok for check in checks.values()), checks=checks)
    headers = {} if answer.ready else {"Retry-After": str(RETRY_SECONDS)}
    return Response(answer.model_dump_json(), 200 if answer.ready else 503, headers, media_type="application/json")


def _checks(shared: Gateway) -> dict[str, Check]:
    try:
        shared.redis.ping()
        workers = len(shared.workers.get())
    except AWAY:
        return {"redis": Check(ok=False, detail="does not answer"), "workers": Check(ok=False, detail="not known")}
    return {"redis": Check(ok=True, detail="answers"), "workers": Check(ok=workers > 0, detail=f"{workers} live")}


@router.get(
    "/metrics",
    operation_id="getMetrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **responses(),
    },
)
def get_metrics(shared: Shared) -> Response:
    """This gateway's requests, and the state of the whole service."""
    return Response(shared.metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})
