"""How long requests will take, before they are made, while they wait and while they run, at the pace of live workers.

A worker that has not run a model yet is taken to be as fast as the mean of those that have.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jobs.cost import Pace, Traffic, nearest
from jobs.presence import WorkerInfo
from jobs.record import Load, Record, Status


def pace(workers: Sequence[WorkerInfo], model: str, pixels: int) -> Pace | None:
    """Of one worker that serves the model; None while none has run it."""
    return next((found for worker in workers if (found := nearest(worker.paces, model, pixels))), None)


def rate(workers: Sequence[WorkerInfo], model: str, pixels: int) -> float:
    """Evaluations a second of the workers that serve the model, at full batches; 0: not known."""
    serving = [worker for worker in workers if worker.serves([model])]
    return _together([nearest(worker.paces, model, pixels) for worker in serving])


def overall_rate(workers: Sequence[WorkerInfo]) -> float:
    """Evaluations a second of all workers at full batches, each at what it ran last; 0: not known."""
    return _together([next(iter(worker.paces), None) for worker in workers])


def until_end_of_running(record: Record, load: Load | None, now: datetime) -> float | None:
    """Seconds, as its worker told, less the time since; where it told nothing, from the speed so far.

    None for one that does not run, or of which nothing is known. `load` is what waits, for all models.
    """
    if record.status != Status.RUNNING or record.started_at is None:
        return None
    crowded = load is not None and load.generations > 0
    left = record.seconds_left_crowded if crowded else record.seconds_left
    if left is not None and record.told_at is not None and record.told_at >= record.started_at:
        return max(0.0, left - max(0.0, (now - record.told_at).total_seconds()))
    if not record.nfe_done:
        return None
    elapsed = max(0.0, (now - record.started_at).total_seconds())
    return elapsed * max(0, record.nfe_total - record.nfe_done) / record.nfe_done


def until_end_of_waiting(
    record: Record, position: int | None, load: Load | None, workers: Sequence[WorkerInfo]
) -> float | None:
    """Seconds; None for one that does not wait, or where nothing is known.

    `position` is the number of generations ahead of it. What each needs is taken to be the mean of all
    others that wait.
    """
    request, crew = record.request, record.crew.splitlines()
    pixels = (request.width or 0) * (request.height or 0)
    serving = [worker for worker in workers if worker.serves(crew)]
    known = pace(serving, request.model, pixels)
    if position is None or load is None or known is None:
        return None
    traffic = Traffic(
        ahead=position * max(0, load.evaluations - record.nfe_total) / max(1, load.generations - 1),
        running=sum(worker.info.get("evaluations_left", 0) for worker in serving),
        slots=sum(worker.info.get("concurrency", 1) for worker in serving),
        rate=rate(serving, request.model, pixels),
    )
    own = record.nfe_total * known.share(request.guidance.deciders)
    calls = record.steps * request.sampler.calls_per_step
    return traffic.wait(own, known.alone([own / (request.n * calls)] * calls, request.n))


def _together(paces: Sequence[Pace | None]) -> float:
    rates = [found.rate for found in paces if found]
    return sum(rates) * len(paces) / len(rates) if rates else 0.0
