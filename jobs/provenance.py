"""What an image file says of how it was made: the request that makes this image again, alone.

The text is JSON in ASCII, `{"guidepost": VERSION, "request": {...}}`. A PNG holds it in the iTXt chunk `guidepost`,
WebP and JPEG in the UserComment of their EXIF. Pictures that came with the request are named by their sha256.
"""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Iterator
from typing import Any

import PIL.Image
from PIL.ExifTags import IFD, Base
from PIL.PngImagePlugin import PngInfo
from pydantic_core import from_json

from guidance.picture import BY_DIGEST, DIGEST
from jobs.request import GenerationRequest
from jobs.version import VERSION

KEY = "guidepost"
FORMATS = ("PNG", "WEBP", "JPEG")
CHARSET = b"ASCII\0\0\0"
"""What EXIF puts before a comment."""
MAX_CHARACTERS = 60 * 2**10
"""A segment of a JPEG has 64 KiB. The bound is the same in every format, so that no conversion loses the text."""
MAX_FILE_BYTES = 64 * 2**20

REMAKING = (
    *("model", "prompt", "label", "negative_prompt", "n", "seed", "width", "height"),
    *("sampler", "guidance", "source"),
)
"""The fields that pixels depend on, and `output.format`. No other goes into a file: they may be private."""

Json = dict[str, Any]


class NoProvenance(ValueError):
    """A file that does not say how it was made; says why."""


def text(request: GenerationRequest, seed: int) -> str | None:
    """What the image of this seed says; None where that is more than MAX_CHARACTERS. Equal requests, equal text."""
    alone = request.model_copy(update={"n": 1, "seed": seed})
    fields: Json = {**dict.fromkeys(REMAKING, True), "output": {"format"}}
    dumped = alone.model_dump(mode="json", include=fields, context=BY_DIGEST)
    remade = {name: value for name, value in dumped.items() if value is not None}
    said = json.dumps({KEY: VERSION, "request": remade}, separators=(",", ":"))
    return said if len(said) <= MAX_CHARACTERS else None


def options(text: str, format: str) -> Json:
    """What Pillow's `save` is told so that a file of `format` (png, webp or jpeg) holds the text."""
    if format == "png":
        chunks = PngInfo()
        chunks.add_itxt(KEY, text)
        return {"pnginfo": chunks}
    exif = PIL.Image.Exif()
    exif[Base.Software] = f"{KEY} {VERSION}"
    exif.get_ifd(IFD.Exif)[Base.UserComment] = CHARSET + text.encode("ascii")
    return {"exif": exif}


def found(image: PIL.Image.Image) -> str | None:
    """The text that an opened file holds, if any; its pixels are left alone."""
    if image.format == "PNG":
        chunk = image.info.get(KEY)
        return str(chunk) if isinstance(chunk, str) else None
    comment = image.getexif().get_ifd(IFD.Exif).get(Base.UserComment)
    if not isinstance(comment, bytes) or not comment.startswith(CHARSET):
        return None
    return comment.removeprefix(CHARSET).decode("ascii", errors="replace")


def read(data: bytes) -> Json:
    """The request that makes the image of this file again; NoProvenance where the file says none, or nonsense."""
    if len(data) > MAX_FILE_BYTES:
        raise NoProvenance(f"has {len(data)} bytes; at most {MAX_FILE_BYTES} are read")
    try:
        with warnings.catch_warnings(action="ignore"), PIL.Image.open(io.BytesIO(data), formats=FORMATS) as image:
            said = found(image)
    except Exception as error:  # Pillow raises many kinds on files that lie
        raise NoProvenance("is no PNG, WebP or JPEG file that can be read") from error
    if said is None:
        raise NoProvenance("does not say how it was made: it is not of Guidepost, or its metadata was removed")
    return _request(said)


def missing(request: Json) -> Iterator[tuple[str, str]]:
    """(JSON pointer, sha256) of every picture that the request only names."""
    for pointer, _, _, name in _named(request):
        yield pointer, name.removeprefix(DIGEST)


def restore(request: Json, pictures: dict[str, str]) -> None:
    """Put pictures, data URLs by their digest, where the request names them."""
    for _, holder, key, name in list(_named(request)):
        if name in pictures:
            holder[key] = pictures[name]


def _request(said: str) -> Json:
    """The request in a text that anybody may have written."""
    if len(said) > MAX_CHARACTERS:
        raise NoProvenance(f"says how it was made in {len(said)} characters; at most {MAX_CHARACTERS} are read")
    try:
        document = from_json(said, allow_inf_nan=False)
    except ValueError:
        raise NoProvenance("says how it was made, but not in JSON") from None
    request = document.get("request") if isinstance(document, dict) else None
    if not isinstance(request, dict):
        raise NoProvenance("says how it was made, but names no request")
    # A stranger's file must not make whoever posts what it says call a webhook.
    if others := request.keys() - {*REMAKING, "output"}:
        raise NoProvenance(f"names a request with {json.dumps(sorted(others)[0][:40])}, which no image file may set")
    if request.get("output", {}) not in ({}, *({"format": name} for name in ("png", "webp", "jpeg"))):
        raise NoProvenance("names a request with an output that is no format")
    return request


def _named(node: Any, pointer: str = "") -> Iterator[tuple[str, Any, Any, str]]:
    """(JSON pointer, what holds it, under which key, digest) of every digest within `node`."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        here = f"{pointer}/{key}"
        if isinstance(value, str) and re.fullmatch(DIGEST + "[0-9a-f]{64}", value):
            yield here, node, key, value
        yield from _named(value, here)
