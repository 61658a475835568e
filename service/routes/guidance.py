"""Guidance: what there is, and what a spec comes to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.responses import Response

from guidance.asked import Asked
from guidance.catalogue import catalogue
from guidance.companions import companion_problems
from guidance.info import ModelInfo
from guidance.plan import Call, Plan, plan
from guidance.samplers import DDIM, AnySampler
from guidance.spec import GuidanceSpec
from jobs.cost import Pace
from jobs.request import resolve_sampler
from service.estimates import pace
from service.gateway import Gateway, gateway
from service.negotiation import Accept, choose
from service.problems import refused, responses
from service.schemas import Catalogue, PlannedStep, Prediction, Validation
from service.submission import served_beside, served_model

router = APIRouter(tags=["guidance"])

JSON, SVG = "application/json", "image/svg+xml"


class ValidationRequest(Asked):
    """A guidance spec to look at, on a model and a sampler."""

    model: str = Field("shapes", min_length=1, max_length=200, description="a model of GET /v1/models")
    sampler: AnySampler = Field(default_factory=DDIM)
    guidance: GuidanceSpec = Field(default_factory=GuidanceSpec)


@router.get(
    "/v1/guidance",
    operation_id="listGuidance",
    response_model=Catalogue,
    response_description="The catalogue",
    responses=responses(),
)
def list_guidance() -> Response:
    """Every schedule, condition transform, combiner, correction, sampler and preset, with its JSON Schema."""
    return Response(_catalogue(), media_type=JSON)


@cache
def _catalogue() -> str:
    """Of classes: it never changes, and takes a tenth of a second of which all other requests have nothing."""
    return json.dumps(catalogue())


@router.post(
    "/v1/guidance/validate",
    operation_id="validateGuidance",
    response_model=Validation,
    responses={
        200: {"description": "The plan; or a drawing of it", "content": {SVG: {"schema": {"type": "string"}}}},
        **responses(406, 413, 415, 422, 503),
    },
)
def validate_guidance(
    request: ValidationRequest,
    shared: Annotated[Gateway, Depends(gateway)],
    accept: Accept = None,
) -> Response:
    """What a spec comes to: defaults, weight and evaluations per step, warnings. Nothing is queued."""
    media_type = choose(accept, [JSON, SVG])
    info = served_model(shared, request.model)
    known = pace(shared.workers.get(), info.id, info.width * info.height)
    answer = validation(request, info, served_beside(shared, info.id, request.guidance), known)
    if media_type == SVG:
        from service.plots import plot_schedule

        return Response(plot_schedule(answer), media_type=SVG, headers={"Vary": "Accept"})
    return Response(answer.model_dump_json(), media_type=JSON, headers={"Vary": "Accept"})


def validation(
    request: ValidationRequest, info: ModelInfo, beside: Mapping[str, ModelInfo], known: Pace | None = None
) -> Validation:
    """The plan of one image, or a refusal with every reason why the model cannot run it."""
    problems = info.problems(request.guidance, request.sampler)
    if problems := problems + companion_problems(request.guidance, info, beside):
        raise refused(problems)
    sampler = resolve_sampler(request.sampler, info)
    planned = plan(request.guidance, sampler, info)
    return Validation(
        model=request.model,
        sampler=sampler.model_dump(mode="json"),
        guidance=request.guidance.model_dump(mode="json"),
        steps=[_step(call) for call in planned.calls],
        nfe=planned.nfe,
        nfe_is_bound=bool(request.guidance.deciders),
        cfg_nfe=planned.plain_nfe,
        saving=1 - planned.nfe / planned.plain_nfe,
        predicted=_predicted(planned, request.guidance, known),
        warnings=list(planned.warnings),
    )


def _predicted(planned: Plan, guidance: GuidanceSpec, known: Pace | None) -> Prediction:
    if known is None:
        return Prediction(nfe=planned.nfe, seconds=None)
    share = known.share(guidance.deciders)
    seconds = known.alone(share * call.nfe for call in planned.calls)
    return Prediction(nfe=round(share * planned.nfe), seconds=round(seconds, 3))


def _step(call: Call) -> PlannedStep:
    return PlannedStep(
        step=call.step,
        call=call.within,
        t=call.level.t,
        sigma=_finite(call.level.ratio),
        log_snr=_finite(call.level.log_snr),
        weight=call.weight,
        nfe=call.nfe,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
