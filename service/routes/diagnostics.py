"""Per-step diagnostics, as columns, as lines, as a plot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from starlette.responses import Response

from jobs.artifacts import diagnostics_key
from jobs.record import Record, Status
from service.gateway import Gateway, gateway
from service.negotiation import choose
from service.problems import Refusal
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
        }
    },
)
def get_diagnostics(
    id: str, shared: Annotated[Gateway, Depends(gateway)], accept: Annotated[str | None, Header()] = None
) -> Response:
    """What was measured at each step of each image."""
    media_type = choose(accept, [JSON, LINES, PNG, SVG])
    record = shared.record(id)
    data = _stored(shared, record)
    if media_type == LINES:
        data = "".join(_lines(json.loads(data))).encode()
    elif media_type in (PNG, SVG):
        from service.plots import plot_diagnostics

        data = plot_diagnostics(json.loads(data), "png" if media_type == PNG else "svg")
    headers = {"Cache-Control": "private", "Vary": "Accept"}
    return Response(data, media_type=media_type, headers=headers)


def _stored(shared: Gateway, record: Record) -> bytes:
    if record.request.diagnostics == "off":
        raise Refusal(404, "not_recorded", f"generation {record.id} was asked to record no diagnostics")
    if not record.terminal:
        raise Refusal(404, "not_ready", f"generation {record.id} is {record.status}: its diagnostics come when it ends")
    data = shared.artifacts.get(diagnostics_key(record.id))
    if data is None and record.status != Status.SUCCEEDED:
        raise Refusal(404, "not_recorded", f"generation {record.id} has none: it {record.status}")
    if data is None:
        raise expired(f"what was measured of generation {record.id}")
    return data


def _lines(document: dict[str, Any]) -> Iterator[str]:
    for image in document["images"]:
        names, columns = list(image["columns"]), image["columns"].values()
        for row in zip(*columns, strict=True):
            line = {"index": image["index"], "seed": image["seed"], **dict(zip(names, row, strict=True))}
            yield json.dumps(line, separators=(",", ":")) + "\n"
