"""Picture files that lie, swell or break, made here byte by byte."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Any

import PIL.Image

MARKER = b"\xff\xda"
SWOLLEN = 2**28


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, pixels: bytes, *beside: bytes, bits: int = 8, colour: int = 2) -> bytes:
    """`pixels` are compressed rows, whatever the header says of them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(beside) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def rows(width: int, height: int, bytes_a_pixel: int = 3) -> bytes:
    return zlib.compress(bytes((1 + width * bytes_a_pixel) * height))


@cache
def zeros(count: int) -> bytes:
    """So many zero bytes, compressed: a thousandth of them."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(count // 2**20)) + packer.flush()


def saved(picture: PIL.Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def grey(side: int) -> PIL.Image.Image:
    return PIL.Image.new("L", (side, side), 128)


def many_scans(side: int, count: int) -> bytes:
    """A progressive JPEG whose last scan, 16 bytes, comes again and again."""
    whole = saved(grey(side), "jpeg", progressive=True)
    last = whole[whole.rindex(MARKER) : -2]
    return whole[:-2] + last * count + whole[-2:]


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def webp_canvas(side: int) -> bytes:
    """An animation of one small frame on a canvas of this side."""
    small = saved(PIL.Image.new("RGB", (8, 8)), "webp", lossless=True)[12:]
    place = bytes(6) + (7).to_bytes(3, "little") * 2 + bytes(4)
    canvas = bytes([2, 0, 0, 0]) + (side - 1).to_bytes(3, "little") * 2
    return riff((b"VP8X", canvas), (b"ANIM", bytes(6)), (b"ANMF", place + small))


def refused() -> dict[str, tuple[str, bytes, str]]:
    """Name -> media type, file, and what its refusal says."""
    jpeg = saved(PIL.Image.effect_noise((64, 64), 50).convert("RGB"), "jpeg")
    taller = jpeg.replace(struct.pack(">HH", 64, 64), struct.pack(">HH", 65500, 65500))
    bomb, text, small = zeros(SWOLLEN), b"k\0\0", rows(8, 8)
    return {
        "a png of 4 exapixels": ("png", png(2**31 - 1, 2**31 - 1, rows(1, 1)), "is no PNG file"),
        "a png of 13000 x 13000": ("png", png(13000, 13000, rows(1, 1)), "13000 x 13000 pixels"),
        "a png of no pixels": ("png", png(0, 0, rows(1, 1)), "is no PNG file"),
        "256 MiB in a zTXt": ("png", png(8, 8, small, chunk(b"zTXt", text + bomb)), "is no PNG file"),
        "256 MiB in an iTXt": (
            "png",
            png(8, 8, small, chunk(b"iTXt", b"k\0\1\0\0\0" + bomb)),
            "is no PNG file",
        ),
        "256 MiB in an iCCP": ("png", png(8, 8, small, chunk(b"iCCP", text + bomb)), "is no PNG file"),
        "a png of 100,000 chunks": (
            "png",
            png(8, 8, small, *[chunk(b"tEXt", b"k\0v")] * 100_000),
            "100003 chunks",
        ),
        "greys of 16 bits": ("png", saved(PIL.Image.new("I;16", (8, 8)), "png"), "greys of more than 8 bits"),
        "a jpeg of 65500 x 65500": ("jpeg", taller, "is no JPEG file"),
        "a jpeg of 100,000 scans": ("jpeg", many_scans(2048, 100_000), "1000.. scans; the most is 32"),
        "a webp of 16383 x 16383": ("webp", webp_canvas(16383), "is no WEBP file"),
        "a webp of 13000 x 13000": ("webp", webp_canvas(13000), "13000 x 13000 pixels"),
        "a gif that says it is a png": ("png", saved(grey(8), "gif"), "is no PNG file"),
        "a tiff that says it is a jpeg": ("jpeg", saved(grey(8), "tiff"), "is no JPEG file"),
        "an eps that says it is a png": ("png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no PNG file"),
    }


def halves() -> dict[str, tuple[str, bytes]]:
    """Whole to their heads."""
    noise = PIL.Image.effect_noise((64, 64), 50).convert("RGB")
    files = {kind: saved(noise, kind) for kind in ("png", "jpeg", "webp")}
    return {f"half a {kind}": (kind, data[: len(data) // 2]) for kind, data in files.items()}


def accepted() -> dict[str, tuple[str, bytes]]:
    """Odd, and whole: name -> media type and file. All are 64 pixels wide and high."""
    colour, turned = PIL.Image.new("RGB", (64, 64), "red"), PIL.Image.Exif()
    turned[0x112] = 6
    frames = [PIL.Image.new("RGB", (64, 64), (step, 0, 0)) for step in range(20)]
    moving: dict[str, Any] = {"save_all": True, "append_images": frames}
    return {
        "colours of 16 bits": ("png", png(64, 64, rows(64, 64, 8), bits=16, colour=6)),
        "256 MiB of rows where 12 KiB are needed": ("png", png(64, 64, zeros(SWOLLEN))),
        "a png with fewer rows than it says": ("png", png(64, 64, rows(64, 3))),
        "a png whose last chunk is longer than its file": ("png", png(64, 64, rows(64, 64))[:-12] + b"\xff" * 12),
        "a palette with a transparent colour": ("png", saved(PIL.Image.new("P", (64, 64)), "png", transparency=0)),
        "an animated png": ("png", saved(colour, "png", **moving)),
        "an animated webp": ("webp", saved(colour, "webp", **moving)),
        "a cmyk jpeg": ("jpeg", saved(PIL.Image.new("CMYK", (64, 64)), "jpeg")),
        "a jpeg that is turned by its exif": ("jpeg", saved(colour, "jpeg", exif=turned)),
        "a jpeg with nonsense for exif": ("jpeg", saved(colour, "jpeg", exif=b"Exif\0\0" + bytes(range(256)) * 99)),
        "two jpegs in one file": ("jpeg", saved(colour, "jpeg") * 2),
        "a jpeg in ten scans": ("jpeg", saved(colour, "jpeg", progressive=True)),
    }
