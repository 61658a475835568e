"""A record as clients see it."""

from __future__ import annotations

from typing import Any

from jobs.record import Record
from service.problems import job_problem
from service.schemas import (
    DiagnosticsLink,
    Generation,
    Image,
    JobUsage,
    Links,
    Progress,
    ResolvedRequest,
    WebhookDelivery,
)


def path(id: str) -> str:
    """Where a generation is found."""
    return f"/v1/generations/{id}"


def image_path(id: str, index: int) -> str:
    return f"{path(id)}/images/{index}"


def picture_path(id: str, index: int, name: str) -> str:
    """Where a picture of an image's diagnostics is found."""
    return f"{path(id)}/diagnostics/{index}/{name}"


def etag(record: Record) -> str:
    """Weak: the same as long as nothing has happened to it. A place in the queue and an estimate may still differ."""
    told = f"-{record.delivery.attempts}" if record.delivery else ""
    return f'W/"{record.seq}-{record.nfe_done}{told}"'


def render(record: Record, eta: float | None = None) -> Generation:
    """The job as it stood when its record was read; `eta` are the seconds until its end."""
    here = path(record.id)
    links = Links(self=here, cancel=f"{here}/cancel", events=f"{here}/events", diagnostics=f"{here}/diagnostics")
    measured = record.request.diagnostics != "off"
    return Generation(
        id=record.id,
        object="generation",
        status=record.status,
        status_reason=record.status_reason,
        progress=_progress(record, eta),
        request=ResolvedRequest.model_validate(record.request.model_dump(mode="json")),
        images=[Image(url=image_path(record.id, image.index), **image.model_dump()) for image in record.images],
        diagnostics=DiagnosticsLink(url=links.diagnostics, summary=record.diagnostics) if measured else None,
        usage=JobUsage(
            nfe=record.usage.nfe or record.nfe_done,
            mean_batch_rows=record.usage.mean_batch_rows,
            queue_seconds=record.queue_seconds,
            run_seconds=record.run_seconds,
        ),
        attempts=record.attempts,
        error=_error(record, here),
        webhook=record.delivery and WebhookDelivery(**record.delivery.model_dump()),
        created_at=record.created_at,
        started_at=record.started_at,
        finished_at=record.finished_at,
        expires_at=record.expires_at,
        links=links,
    )


def _progress(record: Record, eta: float | None) -> Progress:
    return Progress(
        step=record.step,
        steps=record.steps,
        nfe_done=record.nfe_done,
        nfe_total=record.nfe_total,
        eta_seconds=None if eta is None else round(eta, 3),
        queue_position=record.position,
    )


def _error(record: Record, here: str) -> Any:
    if record.error is None:
        return None
    failure = record.error
    return job_problem(failure.code, failure.detail, retryable=failure.retryable, instance=here)
