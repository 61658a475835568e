"""The bytes of images."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header
from starlette.responses import Response

from jobs.artifacts import CONTENT_TYPES, image_key
from jobs.record import Record, StoredImage
from service.gateway import Gateway, gateway
from service.negotiation import Accept, choose
from service.problems import Refusal, responses

router = APIRouter(tags=["images"])

BINARY = {"schema": {"type": "string", "format": "binary"}}
OCTETS = "application/octet-stream"
MEDIA_TYPES = [*(CONTENT_TYPES[name] for name in ("png", "webp", "jpeg")), OCTETS]
HEADERS = {
    "ETag": {"schema": {"type": "string"}},
    "Cache-Control": {"schema": {"type": "string"}},
    "X-Seed": {"description": "alone it reproduces this image, as image 0", "schema": {"type": "string"}},
}


@router.get(
    "/v1/generations/{id}/images/{index}",
    operation_id="getImage",
    response_class=Response,
    responses={
        200: {
            "description": "The image as it was stored",
            "content": dict.fromkeys(MEDIA_TYPES, BINARY),
            "headers": HEADERS,
        },
        304: {"description": "Unchanged since the ETag in If-None-Match"},
        **responses(404, 406, 409, 410, 503),
    },
)
def get_image(
    id: str,
    index: int,
    shared: Annotated[Gateway, Depends(gateway)],
    accept: Accept = None,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """One image, in the format that the request named."""
    record = shared.record(id)
    image = _image(record, index)
    media_type = CONTENT_TYPES[image.format]
    choose(accept, [media_type, OCTETS])
    headers = lasting(shared, image.sha256) | {"X-Seed": str(image.seed)}
    if unchanged(headers, if_none_match):
        return Response(status_code=304, headers=headers)
    data = shared.artifacts.get(image_key(id, index, image.format))
    if data is None:
        raise expired(f"image {index} of generation {id}")
    return Response(data, media_type=media_type, headers=headers)


def lasting(shared: Gateway, sha256: str) -> dict[str, str]:
    """Headers of bytes that never change once they are stored."""
    return {
        "ETag": f'"{sha256}"',
        "Cache-Control": f"private, max-age={shared.settings.result_ttl_seconds}, immutable",
        "Vary": "Accept",
    }


def unchanged(headers: dict[str, str], if_none_match: str | None) -> bool:
    """Whether the client has these bytes already."""
    return if_none_match is not None and headers["ETag"] in if_none_match


def expired(what: str) -> Refusal:
    return Refusal(410, "expired", f"{what} is no longer kept")


def _image(record: Record, index: int) -> StoredImage:
    for image in record.images:
        if image.index == index:
            return image
    if not record.terminal:
        raise Refusal(409, "not_ready", f"generation {record.id} is {record.status}: it has no images yet")
    detail = f"generation {record.id}, which {record.status}, has no image {index}; it has {len(record.images)}"
    raise Refusal(404, "not_found", detail)
