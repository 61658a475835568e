"""Accepting a generation: checked against the models that are served, planned, queued."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from guidance.info import ModelInfo, Problem
from guidance.inversion import inversion_spec
from guidance.plan import plan
from guidance.spec import GuidanceSpec
from jobs.correlation import bind
from jobs.order import ANYONE, Order, QueueFull, QuotaExceeded, Repeated, Terms, TooManyActive
from jobs.record import Record, Status
from jobs.request import GenerationRequest, RequestProblems, resolve
from service.estimates import until_end_of_running
from service.evaluations import evaluations
from service.gateway import Gateway, retry_after
from service.idempotency import replayed
from service.pointers import shown
from service.problems import Refusal, refused


def submit(gateway: Gateway, request: GenerationRequest, terms: Terms = ANYONE) -> Record:
    """Queue the request, or refuse it with every reason there is. May raise Repeated."""
    order = checked(gateway, request)
    with refusing(gateway, order.nfe_total):
        record = gateway.store.create(order.request, order.nfe_total, gateway.bound(terms))
    bind(generation_id=record.id)
    return record


def accepted(gateway: Gateway, request: GenerationRequest, terms: Terms) -> tuple[Record, bool]:
    """The generation, and whether it is one that the idempotency key had made before."""
    try:
        with replaying(gateway, terms):
            return submit(gateway, request, terms), False
    except Repeated as repeated:
        assert terms.once is not None
        return gateway.record(replayed(repeated, terms.once)), True


@contextmanager
def replaying(gateway: Gateway, terms: Terms) -> Iterator[None]:
    """What was accepted once may be refused now (its model is gone): a key that was used before raises Repeated then.

    What Redis itself declines it declines only of keys that are new.
    """
    try:
        yield
    except Refusal:
        if repeated := gateway.store.repeated(terms):
            raise repeated from None
        raise


def checked(gateway: Gateway, request: GenerationRequest) -> Order:
    """The request with every default filled in, and its planned evaluations; or a refusal with every reason."""
    info = served_model(gateway, request.model)
    try:
        resolved = resolve(request, info, gateway.settings, served_beside(gateway, request.model, request.guidance))
    except RequestProblems as found:
        raise refused(found.problems) from None
    nfe_total = resolved.n * evaluations(resolved.guidance, resolved.sampler, info)
    if resolved.source:
        nfe_total += plan(inversion_spec(resolved.guidance, resolved.source.weight), resolved.sampler, info).nfe
    return Order(resolved, nfe_total)


@contextmanager
def refusing(gateway: Gateway, evaluations: int, generations: int = 1) -> Iterator[None]:
    """What the queue declines of so many becomes a refusal that says when to come back."""
    try:
        yield
    except QueueFull as full:
        detail, excess = _overfull(gateway, full, evaluations, generations)
        raise Refusal(503, "queue_full", detail, retry_after=retry_after(gateway.workers.seconds_for(excess))) from None
    except TooManyActive as busy:
        most = _allowed(gateway, "max_active")
        if generations > most:
            detail = f"these are {generations} generations, and the key may have {most} queued and running"
            raise refused([Problem("", "exceeds_max_active", detail)]) from None
        detail = f"{busy.active} generations are queued or running, and {most} may"
        wait = retry_after(_until_one_ends(gateway))
        raise Refusal(429, "too_many_active", detail, retry_after=wait) from None
    except QuotaExceeded as spent:
        quota = _allowed(gateway, "quota")
        if evaluations > quota:
            detail = f"this needs {evaluations} network evaluations, and the key may have {quota} a day"
            raise refused([Problem("", "exceeds_quota", detail)]) from None
        detail = f"{spent.spent} of {quota} network evaluations of today (UTC) are spent; this needs {evaluations}"
        raise Refusal(429, "quota_exceeded", detail, retry_after=spent.seconds) from None


def _overfull(gateway: Gateway, full: QueueFull, evaluations: int, generations: int) -> tuple[str, int]:
    """Which bound is met, and the evaluations that have to leave the line before there is room."""
    settings = gateway.settings
    if (excess := full.generations + generations - settings.max_queue) > 0:
        detail = f"{full.generations} generations wait, and {settings.max_queue} may"
        return detail, excess * full.evaluations // max(1, full.generations)
    bound = gateway.max_waiting()
    detail = f"{full.evaluations} network evaluations wait, and {bound} may; this request needs {evaluations}"
    if bound < settings.max_queue_evaluations:
        detail += f": more than {settings.max_queue_seconds:g} s of work, as predicted"
    # One that needs more than the bound by itself is let in once nothing waits.
    return detail, min(full.evaluations, full.evaluations + evaluations - bound)


def _until_one_ends(gateway: Gateway) -> float | None:
    """Seconds until the one of the caller's generations ends that is under way for longest; None: not known."""
    oldest, store = gateway.store.oldest(gateway.tenant), gateway.store
    if oldest is None:  # it ended just now
        return 0.0
    if oldest.status != Status.RUNNING:
        return gateway.workers.seconds_for(store.load().evaluations)
    if oldest.seconds_left is None:  # nothing told: as if all that runs went on at an equal pace
        left = oldest.nfe_total - oldest.nfe_done
        return gateway.workers.seconds_for(left * store.counts()[Status.RUNNING])
    return until_end_of_running(oldest, store.load(), datetime.now(UTC))


def _allowed(gateway: Gateway, bound: str) -> int:
    """A bound of the caller's key, which must be why it was refused."""
    allowed: int = getattr(gateway.key, bound)
    return allowed


def served_model(gateway: Gateway, id: str) -> ModelInfo:
    """A model that a live worker serves, or a refusal that names those there are."""
    info = gateway.model(id)
    if info is None:
        served = ", ".join(sorted(gateway.workers.models()))
        raise refused([Problem("/model", "unknown_model", f"model = {shown(id)} is not served; there is {served}")])
    return info


def served_beside(gateway: Gateway, id: str, guidance: GuidanceSpec) -> dict[str, ModelInfo]:
    """The models that a worker serves together with `id`, of which a spec may name some."""
    return gateway.workers.beside(id, guidance.companions) if guidance.companions else {}
