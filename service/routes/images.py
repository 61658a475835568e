"""The bytes of images."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header
from starlette.requests import Request
from starlette.responses import Response

from jobs.artifacts import CONTENT_TYPES, image_key
from jobs.encoding import convert
from jobs.record import Record, StoredImage
from service.gateway import Gateway, gateway
from service.negotiation import Accept, choose, unchanged
from service.problems import Refusal, responses

router = APIRouter(tags=["images"])

BINARY = {"schema": {"type": "string", "format": "binary"}}
OCTETS = "application/octet-stream"
FORMATS = {CONTENT_TYPES[name]: name for name in ("png", "webp", "jpeg")}
HEADERS = {
    "ETag": {"description": "each format has its own", "schema": {"type": "string"}},
    "Cache-Control": {"schema": {"type": "string"}},
    "Vary": {"schema": {"type": "string"}},
    "X-Seed": {"description": "alone it reproduces this image, as image 0", "schema": {"type": "string"}},
}


@router.head("/v1/generations/{id}/images/{index}", include_in_schema=False)
@router.get(
    "/v1/generations/{id}/images/{index}",
    operation_id="getImage",
    response_class=Response,
    responses={
        200: {
            "description": "The image as it was stored, or made from that where Accept prefers another format",
            "content": dict.fromkeys([*FORMATS, OCTETS], BINARY),
            "headers": HEADERS,
        },
        304: {"description": "Unchanged since the ETag in If-None-Match"},
        307: {
            "description": "The image as it was stored is there, for some minutes and without credentials; "
            "only where images are in an object store and the operator chose this",
            "headers": {"Location": {"schema": {"type": "string"}}},
        },
        **responses(404, 406, 409, 410, 503),
    },
)
def get_image(
    request: Request,
    id: str,
    index: int,
    shared: Annotated[Gateway, Depends(gateway)],
    accept: Accept = None,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """One image as PNG, WebP or JPEG, as `Accept` prefers. The file says which request makes it again."""
    record = shared.record(id)
    image = _image(record, index)
    media_type = _media_type(image, accept)
    headers = lasting(shared, _entity_tag(image, media_type)) | {"X-Seed": str(image.seed)}
    if record.expired:
        raise expired(f"image {index} of generation {id}")
    if unchanged(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    if link := _link(shared, request.method, record, image, media_type):
        # The link must not be kept longer than it works.
        return Response(status_code=307, headers={**headers, "Location": link, "Cache-Control": "no-store"})
    return Response(_bytes(shared, record, image, media_type), media_type=media_type, headers=headers)


def lasting(shared: Gateway, etag: str) -> dict[str, str]:
    """Headers of bytes that never change once they are stored."""
    return {
        "ETag": etag,
        "Cache-Control": f"private, max-age={shared.settings.result_ttl_seconds}, immutable",
        "Vary": "Accept",
    }


def expired(what: str) -> Refusal:
    return Refusal(410, "expired", f"{what} is no longer kept")


def _media_type(image: StoredImage, accept: str | None) -> str:
    """What `Accept` prefers; the format that was stored where several are liked equally."""
    stored = CONTENT_TYPES[image.format]
    chosen = choose(accept, [stored, *(other for other in FORMATS if other != stored), OCTETS])
    return stored if chosen == OCTETS else chosen


def _entity_tag(image: StoredImage, media_type: str) -> str:
    """Of stored bytes their hash. What is made of them may differ in bytes where gateways have other encoders: weak."""
    made = FORMATS[media_type]
    return f'"{image.sha256}"' if made == image.format else f'W/"{image.sha256}-{made}"'


def _link(shared: Gateway, method: str, record: Record, image: StoredImage, media_type: str) -> str | None:
    """Where the object store gives these bytes out itself, if it shall."""
    if not shared.settings.artifacts_redirect or media_type != CONTENT_TYPES[image.format]:
        return None
    return shared.artifacts.link(
        image_key(record.id, record.attempts, image.index, image.format), "HEAD" if method == "HEAD" else "GET"
    )


def _bytes(shared: Gateway, record: Record, image: StoredImage, media_type: str) -> bytes:
    data = shared.artifacts.get(image_key(record.id, record.attempts, image.index, image.format))
    if data is None:
        raise expired(f"image {image.index} of generation {record.id}")
    made = FORMATS[media_type]
    return data if made == image.format else convert(data, made)


def _image(record: Record, index: int) -> StoredImage:
    for image in record.images:
        if image.index == index:
            return image
    if not record.terminal:
        raise Refusal(409, "not_ready", f"generation {record.id} is {record.status}: image {index} is not there yet")
    detail = f"generation {record.id}, which {record.status}, has no image {index}; it has {len(record.images)}"
    raise Refusal(404, "not_found", detail)
