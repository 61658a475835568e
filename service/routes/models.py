"""Models."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Depends

from service.gateway import Gateway, gateway
from service.problems import responses
from service.schemas import ModelList, ServedModel

router = APIRouter(tags=["models"])


@router.get("/v1/models", operation_id="listModels", response_description="The models", responses=responses(503))
def list_models(shared: Annotated[Gateway, Depends(gateway)]) -> ModelList:
    """The models that live workers serve now; empty when there is no worker."""
    workers = shared.workers.get()
    serving = Counter(model.id for worker in workers for model in worker.models)
    models = {model.id: model for worker in workers for model in worker.models}
    return ModelList(data=[ServedModel.of(models[id], serving[id]) for id in sorted(models)])
