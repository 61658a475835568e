"""Accepting a generation: checked against the models that are served, planned, queued."""

from __future__ import annotations

from guidance.info import ModelInfo, Problem
from guidance.inversion import inversion_spec
from guidance.plan import plan
from guidance.spec import GuidanceSpec
from jobs.correlation import bind, current
from jobs.record import Record
from jobs.request import GenerationRequest, RequestProblems, resolve
from service.gateway import RETRY_SECONDS, Gateway
from service.pointers import shown
from service.problems import Refusal, refused


def submit(gateway: Gateway, request: GenerationRequest) -> Record:
    """Queue the request, or refuse it with every reason there is."""
    info = served_model(gateway, request.model)
    try:
        resolved = resolve(request, info, gateway.settings, served_beside(gateway, request.model, request.guidance))
    except RequestProblems as found:
        raise refused(found.problems) from None
    nfe_total = resolved.n * plan(resolved.guidance, resolved.sampler, info).nfe
    if resolved.source:
        nfe_total += plan(inversion_spec(resolved.guidance, resolved.source.weight), resolved.sampler, info).nfe
    waiting = gateway.store.queued()
    if waiting >= gateway.settings.max_queue:
        detail = f"{waiting} generations wait, and {gateway.settings.max_queue} may"
        raise Refusal(503, "queue_full", detail, retry_after=RETRY_SECONDS)
    record = gateway.store.create(resolved, nfe_total, current().origin)
    bind(generation_id=record.id)
    return record


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
