"""Per-step diagnostics, as columns, as lines, as a plot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from jobs.artifacts import diagnostics_key
from jobs.record import Record, Status
from service.gateway import Gateway, gateway
from service.job import picture_path
from service.negotiation import Accept, choose
from service.problems import Refusal, responses
from service.routes.images import BINARY, expired
from service.schemas import Diagnostics

router = APIRouter(tags=["diagnostics"])

JSON, LINES, PNG, SVG = "application/json", "application/x-ndjson", "image/png", "image/svg+xml"


@router.get(
    "/v1/generations/{id}/diagnostics",
    operation_id="getDiagnostics",
    response_model=Diagnostics,
    responses={
        200: {
            "description": "Columns, one value per network call; or a line per call; or a plot",
            "content": {
                LINES: {"schema": {"type": "string"}},
                PNG: BINARY,
                SVG: {"schema": {"type": "string"}},
                "application/octet-stream": BINARY,
            },
        },
        **responses(404, 406, 409, 410, 503),
    },
)
def get_diagnostics(id: str, shared: Annotated[Gateway, Depends(gateway)], accept: Accept = None) -> Response:
    """What was measured at each step of each image."""
    media_type = choose(accept, [JSON, LINES, PNG, SVG])
    record = shared.record(id)
    document = stored_document(shared, record)
    data = _linked(document, id) if media_type == JSON else _drawn(_with_columns(document, record), media_type)
    headers = {"Cache-Control": "private", "Vary": "Accept"}
    return Response(data, media_type=media_type, headers=headers)


def stored_document(shared: Gateway, record: Record) -> dict[str, Any]:
    """What the worker wrote; or a refusal that says why there is none."""
    if record.request.diagnostics == "off":
        raise Refusal(404, "not_recorded", f"generation {record.id} was asked to record no diagnostics")
    if not record.terminal:
        raise Refusal(409, "not_ready", f"generation {record.id} is {record.status}: its diagnostics come when it ends")
    data = None if record.expired else shared.artifacts.get(diagnostics_key(record.id, record.attempts))
    if data is None and record.status != Status.SUCCEEDED:
        raise Refusal(404, "not_recorded", f"generation {record.id} has none: it {record.status}")
    if data is None:
        raise expired(f"what was measured of generation {record.id}")
    document: dict[str, Any] = json.loads(data)
    return document


def _linked(document: dict[str, Any], id: str) -> bytes:
    """With the places of the pictures: a worker knows no paths."""
    for image in document["images"]:
        for picture in image.get("pictures", ()):
            picture["url"] = picture_path(id, image["index"], picture["name"])
    return json.dumps(document, separators=(",", ":")).encode()


def _with_columns(document: dict[str, Any], record: Record) -> dict[str, Any]:
    if any("columns" not in image for image in document["images"]):
        detail = f"generation {record.id} recorded a summary only; steps are recorded with diagnostics = 'full'"
        raise Refusal(404, "not_recorded", detail)
    return document


def _drawn(document: dict[str, Any], media_type: str) -> bytes:
    if media_type == LINES:
        return "".join(_lines(document)).encode()
    from service.plots import plot_diagnostics

    return plot_diagnostics(document, "png" if media_type == PNG else "svg")


def _lines(document: dict[str, Any]) -> Iterator[str]:
    for image in document["images"]:
        names, columns = list(image["columns"]), image["columns"].values()
        for row in zip(*columns, strict=True):
            line = {"index": image["index"], "seed": image["seed"], **dict(zip(names, row, strict=True))}
            yield json.dumps(line, separators=(",", ":")) + "\n"
