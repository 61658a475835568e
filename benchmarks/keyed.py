"""The batching keys of other servers, emulated on our requests: which of them may share a forward.

From their public sources, of which this is a reading and no measurement: their key decides the groups, and everything
else (network, solvers, joining of the rows) is ours. Where a rule leaves a choice, it is read in favour of the key.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from guidance.corrections import Rescale
from jobs.request import GenerationRequest as Request

Key = Callable[[Request], Hashable]


def vllm_omni(request: Request) -> Hashable:
    """vLLM-Omni's step batching: size, whether there is CFG, its scale, rescale and normalisation.

    Steps and progress may differ. It has no schedules, so that only the largest weight of ours counts as its scale; and
    our combiners, of which it has one, as its normalisation.
    """
    guidance = request.guidance
    rescale = tuple(stage.phi for stage in guidance.correction if isinstance(stage, Rescale))
    return (_size(request), _peak(request), rescale, guidance.combiner.type)


def sglang(request: Request) -> Hashable:
    """SGLang's dynamic batching, by the key of its early scheduler: size, steps, whether there is CFG.

    Whole requests are merged. The scale is not in the key, and the solver is the server's: neither of ours is here.
    """
    return (_size(request), request.sampler.steps)


def sglang_continuous(request: Request) -> Hashable:
    """SGLang's proposed continuous batching (an open pull request): latent shape, branches of CFG, solver and order.

    Steps, progress and scale may differ.
    """
    return (_size(request), request.sampler.type)


def alone(request: Request) -> Hashable:
    """One at a time, as servers around a diffusers pipeline do."""
    return id(request)


def groups(requests: Sequence[Request], key: Key) -> list[list[Request]]:
    """Requests with equal keys, in the order in which the first of each came."""
    found: dict[Hashable, list[Request]] = {}
    for request in requests:
        found.setdefault(key(request), []).append(request)
    return list(found.values())


def _size(request: Request) -> tuple[int | None, int | None]:
    return request.width, request.height


def _peak(request: Request) -> float:
    """The largest weight that the schedule has on the way."""
    schedule = request.guidance.schedule
    peak = getattr(schedule, "max_weight", None)
    return float(getattr(schedule, "weight", 0.0) if peak is None else peak)
