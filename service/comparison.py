"""A comparison as clients see it."""

from __future__ import annotations

from jobs.comparison import Comparison
from jobs.record import Record
from service.comparison_schemas import (
    ComparedGeneration,
    ComparedRequest,
    ComparisonAxis,
    ComparisonLinks,
    ComparisonProgress,
    GenerationLinks,
)
from service.comparison_schemas import Comparison as Shown
from service.job import render as render_job


def path(id: str) -> str:
    """Where a comparison is found."""
    return f"/v1/comparisons/{id}"


def etag(comparison: Comparison) -> str:
    """Weak: the same as long as nothing has happened to any of its generations."""
    return f'W/"{comparison.version}"'


def render(comparison: Comparison) -> Shown:
    here = path(comparison.id)
    records = comparison.records
    return Shown(
        id=comparison.id,
        object="comparison",
        status=comparison.status,
        progress=ComparisonProgress(
            ended=sum(record.terminal for record in records),
            generations=len(records),
            nfe_done=sum(record.nfe_done for record in records),
            nfe_total=sum(record.nfe_total for record in records),
        ),
        request=ComparedRequest.model_validate(records[0].request.model_dump(mode="json")),
        axes=[ComparisonAxis.model_validate(axis.model_dump(mode="json")) for axis in comparison.axes],
        generations=[_one(*pair) for pair in zip(comparison.labels, records, strict=True)],
        created_at=comparison.created_at,
        started_at=comparison.started_at,
        finished_at=comparison.finished_at,
        expires_at=comparison.expires_at,
        links=ComparisonLinks(
            self=here, cancel=f"{here}/cancel", image=f"{here}/image", diagnostics=f"{here}/diagnostics"
        ),
    )


def _one(label: str, record: Record) -> ComparedGeneration:
    job = render_job(record)
    return ComparedGeneration(
        label=label,
        id=job.id,
        status=job.status,
        status_reason=job.status_reason,
        guidance=job.request.guidance,
        sampler=job.request.sampler,
        negative_prompt=job.request.negative_prompt,
        images=job.images,
        nfe_done=job.usage.nfe,
        nfe_total=job.progress.nfe_total,
        run_seconds=job.usage.run_seconds,
        error=job.error,
        links=GenerationLinks(self=job.links.self, events=job.links.events, diagnostics=job.links.diagnostics),
    )
