"""What an ended generation adds to the totals of the whole service."""

from __future__ import annotations

from collections.abc import Iterator

from guidance.registry import UNIONS
from jobs.record import Record
from jobs.request import GenerationRequest
from jobs.totals import observed


def tally(record: Record, run_seconds: float, nfe: int) -> dict[str, float]:
    """Of a generation whose last attempt ran for `run_seconds`, with `nfe` evaluations of the network."""
    totals = observed("run_seconds", record.request.model, run_seconds)
    if record.queue_seconds is not None:
        totals |= observed("wait_seconds", record.request.model, record.queue_seconds)
    return totals | {f"nfe_by:{stage}:{name}": nfe for stage, name in methods(record.request)}


def methods(request: GenerationRequest) -> Iterator[tuple[str, str]]:
    """Each stage with the name of a method that the request uses there."""
    for stage in UNIONS:
        chosen = request.sampler if stage == "sampler" else getattr(request.guidance, stage, None)
        for method in chosen if isinstance(chosen, list) else [chosen] if chosen else []:
            yield stage, method.type_name()
