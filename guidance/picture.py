"""Pictures that come with a request, as data URLs: small, their heads checked when the request is read, their pixels
when it is accepted.
"""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, SerializationInfo, SerializerFunctionWrapHandler, WrapSerializer
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    import PIL.Image
    from torch import Tensor

TYPES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
MAX_BYTES = 2 * 2**20
MAX_SIDE = 2048
PARTS = {"PNG": "chunks", "JPEG": "scans", "WEBP": "parts"}
MAX_PARTS = {"PNG": 4096, "JPEG": 32, "WEBP": 0}
"""Encoders make a chunk of 8 KiB and some 10 scans. 100 KB of empty scans keep a decoder busy for half a minute."""
START_OF_SCAN = b"\xff\xda"
PNG_SIGNATURE, PNG_AROUND = 8, 12
"""Bytes before the first chunk, and of each but its data, whose length comes first."""
DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes with more than 8 bits a channel; colours of 16 bits it rounds itself."""
PREFIX = "data:"
SUFFIX = ";base64,"
DIGEST = "sha256:"
BY_DIGEST = "pictures by digest"


def _checked(url: str) -> str:
    """ValueError naming what is wrong with a data URL, as far as its head says: a record is read more often than its
    pictures are used, and a gateway reads requests on the thread that everybody waits for. See `broken`.
    """
    data = _bytes(url)
    if len(data) > MAX_BYTES:
        raise _refusal("is {size} bytes; the most is {bound}", size=len(data), bound=MAX_BYTES)
    kind = TYPES[url.partition(SUFFIX)[0].removeprefix(PREFIX)]
    if (parts := _parts(data, kind)) > MAX_PARTS[kind]:
        raise _refusal(f"has {{size}} {PARTS[kind]}; the most is {{bound}}", size=parts, bound=MAX_PARTS[kind])
    with _open(url) as image:
        width, height = image.size
        if max(width, height) > MAX_SIDE:
            raise _refusal("is {width} x {height} pixels; the longest side may have {bound}", width, height, MAX_SIDE)
        if image.mode in DEEP:  # converting would make almost everything white
            raise _refusal("has greys of more than 8 bits; the most is {bound}", bound=8)
    return url


def _parts(data: bytes, kind: str) -> int:
    """What a decoder goes through one by one, however small it is, so that small files can take minutes. At least
    as many as there are: in a JPEG the bytes of a scan's marker may also stand in metadata.
    """
    if kind == "JPEG":
        return data.count(START_OF_SCAN)
    count, place = 0, PNG_SIGNATURE
    while kind == "PNG" and place < len(data):
        count, place = count + 1, place + PNG_AROUND + int.from_bytes(data[place : place + 4])
    return count


def _refusal(sentence: str, width: int = 0, height: int = 0, bound: int = 0, size: int = 0) -> PydanticCustomError:
    context = {"width": width, "height": height, "bound": bound, "size": size}
    return PydanticCustomError("picture", "the picture " + sentence, context)


def _bytes(url: str) -> bytes:
    head, found, text = url.partition(SUFFIX)
    if not found or head.removeprefix(PREFIX) not in TYPES or not head.startswith(PREFIX):
        raise _refusal(f"must be a data URL: data: then {', '.join(TYPES)}, then {SUFFIX} and the bytes in base64")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise _refusal(f"is not base64: {error}") from None


def _open(url: str) -> PIL.Image.Image:
    import PIL.Image

    kind = TYPES[url.partition(SUFFIX)[0].removeprefix(PREFIX)]
    try:
        return PIL.Image.open(io.BytesIO(_bytes(url)), formats=[kind])
    except Exception:  # Pillow raises many kinds on files that lie
        raise _refusal(f"is no {kind} file that can be read") from None


def _coloured(image: PIL.Image.Image) -> PIL.Image.Image:
    try:
        return image.convert("RGBA")
    except Exception:
        raise _refusal("is cut short, or broken") from None


def size(url: str) -> tuple[int, int]:
    """(width, height) in pixels."""
    with _open(url) as image:
        return image.size


def misfit(url: str, width: int, height: int, smaller: int = 1) -> str | None:
    """How a picture's size differs from 1/smaller of that of an image; None where it does not."""
    want, have = (width / smaller, height / smaller), size(url)
    if have == want:
        return None
    share = "" if smaller == 1 else f"1/{smaller} of "
    asked = f"must be {want[0]:g} x {want[1]:g} pixels, {share}the image's {width} x {height}"
    return f"the picture is {have[0]} x {have[1]} pixels and {asked}"


@lru_cache(maxsize=32)
def broken(url: str) -> str | None:
    """What is wrong with the pixels of a picture whose head is right; None where they can be read."""
    with _open(url) as image:
        try:
            _coloured(image)
        except PydanticCustomError as error:
            return error.message()
    return None


@lru_cache(maxsize=32)
def pixels(url: str) -> Tensor:
    """(1, 3, H, W) in [-1, 1], float32, on the host. Transparency is put on white."""
    import numpy as np
    import PIL.Image
    import torch

    with _open(url) as image:
        coloured = _coloured(image)
    flat = PIL.Image.alpha_composite(PIL.Image.new("RGBA", coloured.size, "white"), coloured).convert("RGB")
    return torch.from_numpy(np.array(flat)).permute(2, 0, 1)[None].float() / 127.5 - 1


def data_url(data: bytes, media_type: str = "image/png") -> str:
    """The data URL of a picture file."""
    return f"{PREFIX}{media_type}{SUFFIX}{base64.b64encode(data).decode()}"


def digest(url: str) -> str:
    """What stands for a picture where its bytes have no place: sha256:, then the hash of its file in hexadecimal."""
    return f"{DIGEST}{sha256(_bytes(url)).hexdigest()}"


def _serialised(url: str, serialise: SerializerFunctionWrapHandler, info: SerializationInfo[Any]) -> str:
    text: str = serialise(url)
    return digest(text) if info.context == BY_DIGEST else text


Picture = Annotated[
    str,
    Field(
        max_length=len(PREFIX + "image/jpeg" + SUFFIX) + 4 * -(-MAX_BYTES // 3),
        json_schema_extra={"format": "data-url"},
    ),
    AfterValidator(_checked),
    WrapSerializer(_serialised),
]
"""A data URL (PNG, JPEG or WebP), of at most MAX_BYTES and MAX_SIDE pixels a side. Dumped with the context BY_DIGEST
it is its digest."""
