"""What a comparison is for: its images in one picture, its diagnostics side by side."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from starlette.responses import Response

from jobs.artifacts import sheet_key
from jobs.comparison import Comparison
from service.comparing import found
from service.comparison_schemas import ComparedDiagnostics
from service.comparison_sheet import refuse_empty, sheet
from service.gateway import Gateway, gateway
from service.negotiation import Accept, choose, unchanged
from service.problems import Refusal, responses
from service.routes.images import BINARY, FORMATS, HEADERS, OCTETS, expired, lasting

router = APIRouter(tags=["comparisons"])
Shared = Annotated[Gateway, Depends(gateway)]

JSON, CSV, PNG, SVG = "application/json", "text/csv", "image/png", "image/svg+xml"


@router.head("/v1/comparisons/{id}/image", include_in_schema=False)
@router.get(
    "/v1/comparisons/{id}/image",
    operation_id="getComparisonImage",
    response_class=Response,
    responses={
        200: {
            "description": "Images with their labels, in rows and columns; grey where one has none, with the reason",
            "content": dict.fromkeys([*FORMATS, OCTETS], BINARY),
            "headers": {name: HEADERS[name] for name in ("ETag", "Cache-Control", "Vary")},
        },
        304: {"description": "Unchanged since the ETag in If-None-Match"},
        **responses(404, 406, 409, 410, 503),
    },
)
def get_comparison_image(
    id: str,
    shared: Shared,
    accept: Accept = None,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """A labelled grid of all images: a row for each spec and a column for each seed, or the axes of a grid of two."""
    media_type = choose(accept, [*FORMATS, OCTETS])
    media_type = PNG if media_type == OCTETS else media_type
    comparison = found(shared, id)
    refuse_empty(comparison)
    headers = _headers(shared, comparison, media_type)
    if comparison.expired:
        raise expired(f"an image of comparison {id}")
    if unchanged(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(_drawn(shared, comparison, FORMATS[media_type]), media_type=media_type, headers=headers)


def _headers(shared: Gateway, comparison: Comparison, media_type: str) -> dict[str, str]:
    """The picture changes until all of it has ended."""
    tag = f'"{hashlib.sha256(f"{comparison.id} {comparison.version} {media_type}".encode()).hexdigest()}"'
    if comparison.terminal:
        return lasting(shared, tag)
    return {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept"}


def _drawn(shared: Gateway, comparison: Comparison, format: str) -> bytes:
    """The sheet; kept once all have ended, as long as the images are."""
    from service.contact_sheet import draw

    key = sheet_key(comparison.id, format)
    if comparison.terminal and (data := shared.artifacts.get(key)):
        return data
    data = draw(sheet(comparison, shared.artifacts), format)
    if comparison.expires_at:
        shared.comparisons.keep_until(comparison.id, comparison.expires_at)
        shared.artifacts.put(key, data)
    return data


@router.get(
    "/v1/comparisons/{id}/diagnostics",
    operation_id="getComparisonDiagnostics",
    response_model=ComparedDiagnostics,
    responses={
        200: {
            "description": "A column per quantity; or a table with a row per image and network call; or a plot",
            "content": {
                CSV: {"schema": {"type": "string"}},
                PNG: BINARY,
                SVG: {"schema": {"type": "string"}},
                OCTETS: BINARY,
            },
        },
        **responses(404, 406, 409, 410, 503),
    },
)
def get_comparison_diagnostics(id: str, shared: Shared, accept: Accept = None) -> Response:
    """What was measured at each step of each image, of all generations that have succeeded."""
    from service.side_by_side import side_by_side

    media_type = choose(accept, [JSON, CSV, PNG, SVG])
    document = side_by_side(shared, found(shared, id))
    if media_type != JSON and not document.columns:
        detail = f"comparison {id} recorded summaries only; steps are recorded with diagnostics = 'full'"
        raise Refusal(404, "not_recorded", detail)
    headers = {"Cache-Control": "private", "Vary": "Accept"}
    return Response(_shown(document, media_type), media_type=media_type, headers=headers)


def _shown(document: ComparedDiagnostics, media_type: str) -> str | bytes:
    if media_type == JSON:
        return document.model_dump_json()
    from service.side_by_side import lines, table

    if media_type == CSV:
        return table(document)
    from service.plots import plot_lines

    return plot_lines(lines(document), "png" if media_type == PNG else "svg")
