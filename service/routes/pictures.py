"""The pictures of a generation's diagnostics."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from starlette.responses import Response

from jobs.artifacts import CONTENT_TYPES, picture_key
from jobs.record import Record
from service.gateway import Gateway, gateway
from service.negotiation import Accept, choose, unchanged
from service.problems import Refusal, responses
from service.routes.diagnostics import stored_document
from service.routes.images import BINARY, OCTETS, expired, lasting

router = APIRouter(tags=["diagnostics"])

PNG = CONTENT_TYPES["png"]
HEADERS = {"ETag": {"schema": {"type": "string"}}, "Cache-Control": {"schema": {"type": "string"}}}


@router.head("/v1/generations/{id}/diagnostics/{index}/{name}", include_in_schema=False)
@router.get(
    "/v1/generations/{id}/diagnostics/{index}/{name}",
    operation_id="getDiagnosticsPicture",
    response_class=Response,
    responses={
        200: {
            "description": "Frames over the steps, the finished image, and what the colours mean",
            "content": {PNG: BINARY, OCTETS: BINARY},
            "headers": HEADERS,
        },
        304: {"description": "Unchanged since the ETag in If-None-Match"},
        **responses(404, 406, 409, 410, 503),
    },
)
def get_diagnostics_picture(
    id: str,
    index: int,
    name: str,
    shared: Annotated[Gateway, Depends(gateway)],
    accept: Accept = None,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """One picture of one image: what a method saw, such as `segments` of S-CFG. The diagnostics list what there is."""
    choose(accept, [PNG, OCTETS])
    record = shared.record(id)
    listed = _listed(shared, record, index, name)
    headers = lasting(shared, f'"{listed["sha256"]}"')
    if unchanged(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    data = shared.artifacts.get(picture_key(id, record.attempts, index, name))
    if data is None:
        raise expired(f"picture {name} of image {index} of generation {id}")
    return Response(data, media_type=PNG, headers=headers)


def _listed(shared: Gateway, record: Record, index: int, name: str) -> dict[str, Any]:
    """The entry of the diagnostics document: a name that is none never becomes a key."""
    document = stored_document(shared, record)
    names = []
    for image in document["images"]:
        for picture in image.get("pictures", ()):
            if (image["index"], picture["name"]) == (index, name):
                entry: dict[str, Any] = picture
                return entry
            names.append(f"{image['index']}/{picture['name']}")
    there_are = f"it has {', '.join(names)}" if names else "it has none"
    raise Refusal(404, "not_found", f"generation {record.id} has no picture {index}/{name}; {there_are}")
