"""One request run to its end, by a service or in this process, with a progress bar; and errors a person can read."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.client import Json, Refused, Service
from cli.listing import DEFAULT_URL

if TYPE_CHECKING:
    from pydantic import ValidationError

MEDIA = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}
OnProgress = Callable[[int, int], None]
"""Called with (evaluations done, evaluations in all)."""


@dataclass(frozen=True)
class Image:
    data: bytes
    seed: int


@dataclass(frozen=True)
class Picture:
    """What a method saw while image `index` was made."""

    index: int
    name: str
    data: bytes


@dataclass(frozen=True)
class Finished:
    images: list[Image]
    diagnostics: Json | None
    pictures: list[Picture]
    usage: Json


def run(request: Json, url: str | None) -> Finished:
    """Through the service at `url` or at the default address if one answers; otherwise here."""
    with bars() as progress:
        task = progress.add_task("waiting", total=None)

        def on_progress(done: int, total: int) -> None:
            progress.update(task, description="sampling", completed=done, total=total)

        with Service(url or DEFAULT_URL) as service:
            if url or service.answers():
                return through_service(service, request, on_progress)
        progress.update(task, description=f"no service at {DEFAULT_URL}: loading the model here")
        return in_process(request, on_progress)


def bars() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def through_service(service: Service, request: Json, on_progress: OnProgress) -> Finished:
    job = service.submit(request)
    for event in service.follow(job):
        if event["type"] == "step":
            on_progress(event["nfe_done"], event["nfe_total"])
        if event["type"] == "done":
            job = event["job"]
    if job["status"] != "succeeded":
        raise Refused(
            job.get("error") or {"title": f"the generation {job['status']}", "detail": job.get("status_reason")}
        )
    accept = MEDIA[job["request"]["output"]["format"]]
    images = [Image(service.fetch(image["url"], accept), image["seed"]) for image in job["images"]]
    diagnostics = service.get(job["links"]["diagnostics"]) if job["request"]["diagnostics"] != "off" else None
    pictures = [
        Picture(image["index"], picture["name"], service.fetch(picture["url"], MEDIA["png"]))
        for image in (diagnostics or {"images": ()})["images"]
        for picture in image.get("pictures", ())
    ]
    return Finished(images, diagnostics, pictures, job["usage"])


def in_process(request: Json, on_progress: OnProgress) -> Finished:
    from jobs.request import GenerationRequest, RequestProblems
    from workers.loading import ModelError
    from workers.local import GenerationFailed, generate

    try:
        result = generate(GenerationRequest.model_validate(request), on_progress)
    except RequestProblems as error:
        errors = [{"pointer": problem.pointer, "detail": problem.detail} for problem in error.problems]
        raise Refused({"title": "the request cannot be run", "errors": errors}) from error
    except (GenerationFailed, ModelError) as error:
        raise Refused({"title": str(error)}) from error
    images = [Image(image.data, image.seed) for image in result.images]
    pictures = [Picture(index, one.name, one.data) for index, drawn in result.pictures.items() for one in drawn]
    return Finished(images, result.diagnostics, pictures, result.usage)


@contextmanager
def complain() -> Iterator[None]:
    """What a user may get wrong ends in a few lines and status 1, never in a stack trace."""
    import httpx
    from pydantic import ValidationError

    try:
        yield
    except Refused as refused:
        _fail(refused.lines())
    except httpx.TransportError as error:
        _fail([f"{error.request.url} does not answer: {error}"])
    except ValidationError as error:
        _fail(_lines(error))


def _lines(error: "ValidationError") -> Iterator[str]:
    yield "the request is not valid:"
    for problem in error.errors(include_url=False):
        yield f"  /{'/'.join(map(str, problem['loc']))}: {problem['msg']}"


def _fail(lines: Any) -> None:
    for line in lines:
        print(line, file=sys.stderr)
    raise typer.Exit(1)
