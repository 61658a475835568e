"""One request run in this process, without Redis: what the command line does when no service answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from jobs.request import GenerationRequest, resolve
from jobs.settings import Settings
from workers.allocator import keep_memory
from workers.delivery import Encoded, document, drawn, encoded
from workers.drawing import Sheet
from workers.engine import Engine
from workers.loading import ModelError, load, named, pick_device, pick_dtype
from workers.task import Outcome, Progress, Task


class GenerationFailed(RuntimeError):
    """The generation ended without images; says why."""


@dataclass(frozen=True, eq=False)
class Result:
    """The images as files, the diagnostics document with its pictures by image, and what it took."""

    request: GenerationRequest
    images: list[Encoded]
    diagnostics: dict[str, Any] | None
    pictures: dict[int, list[Sheet]]
    usage: dict[str, Any]


def generate(
    request: GenerationRequest,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    settings: Settings | None = None,
) -> Result:
    """Run one request to its end. `on_progress` is told evaluations done and in all.

    Raises RequestProblems for what the model cannot run, ModelError when it cannot be loaded, GenerationFailed when
    sampling fails.
    """
    settings = settings or Settings()
    keep_memory()
    sources = named(settings.models) | {"gaussians": "gaussians"}
    asked = [request.model, *request.guidance.companions]
    for id in asked:
        if id not in sources:
            raise ModelError(f"model = {id!r}: GUIDEPOST_MODELS names {', '.join(sorted(sources))}")
    device = pick_device(settings.device)
    models = {id: load(id, sources[id], device, pick_dtype(settings.dtype, device)) for id in dict.fromkeys(asked)}
    infos = {id: model.info for id, model in models.items()}
    request = resolve(request, infos[request.model], beside=infos)
    outcome = run(Engine(models, settings.max_batch_rows), request, on_progress)
    if outcome.status != "succeeded" or outcome.usage is None:
        raise GenerationFailed(outcome.detail or outcome.reason or outcome.status)
    images = [encoded(image, request) for image in outcome.images]
    pictures = drawn(outcome, request)
    return Result(request, images, document(outcome, request, pictures), pictures, asdict(outcome.usage))


def run(engine: Engine, request: GenerationRequest, on_progress: Callable[[int, int], None]) -> Outcome:
    """Run one resolved request on an engine of its own thread, and end that."""
    task = Task("local", request)
    thread = engine.start()
    engine.submit(task)
    engine.stop()
    while not isinstance(update := task.updates.get(), Outcome):
        if isinstance(update, Progress):
            on_progress(update.nfe_done, update.nfe_total)
    thread.join()
    return update
