"""Pictures in requests: what is read of them, and what is refused with its reason."""

from __future__ import annotations

import base64

import PIL.Image
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from guidance.picture import MAX_BYTES, MAX_SIDE, Picture, broken, data_url, pixels, size
from tests.guidance.pictures import png

READ = TypeAdapter(Picture)
RED = PIL.Image.new("RGB", (5, 3), (255, 0, 0))


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_every_format_is_read(format: str) -> None:
    url = READ.validate_python(data_url(png(RED, format), f"image/{format}"))
    assert size(url) == (5, 3)
    found = pixels(url)
    assert found.shape == (1, 3, 3, 5)
    torch.testing.assert_close(found[0, :, 1, 2], torch.tensor([1.0, -1.0, -1.0]), rtol=0, atol=0.05)


def test_pixels_are_exact() -> None:
    grey = PIL.Image.frombytes("L", (2, 1), bytes([0, 200])).convert("RGB")
    assert torch.equal(pixels(data_url(png(grey)))[0, 0], torch.tensor([[-1.0, 200 / 127.5 - 1]]))


def test_transparency_is_white() -> None:
    clear = PIL.Image.new("RGBA", (1, 1), (0, 0, 0, 0))
    assert pixels(data_url(png(clear))).eq(1).all()


def big_bytes() -> str:
    return data_url(png(RED) + bytes(MAX_BYTES))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://example.org/a.png", "must be a data URL"),
        (
            "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
            "must be a data URL: data: then image/png, image/jpeg, image/webp",
        ),
        ("data:image/png;base64,%%%", "is not base64"),
        ("data:image/png;base64,AAAA", "is no PNG file that can be read"),
        (data_url(png(RED, "jpeg")), "is no PNG file that can be read"),
        (data_url(png(PIL.Image.new("L", (MAX_SIDE + 1, 1)))), f"is {MAX_SIDE + 1} x 1 pixels; .* have {MAX_SIDE}"),
        (big_bytes(), "at most"),
        ("", "must be a data URL"),
    ],
    ids=["address", "gif", "base64", "no file", "another format", "wide", "long", "empty"],
)
def test_what_is_refused_says_why(url: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        READ.validate_python(url)


def test_a_file_cut_short_is_told_by_its_pixels() -> None:
    """Its header is whole."""
    whole = png(PIL.Image.effect_noise((64, 64), 50).convert("RGB"))
    assert broken(READ.validate_python(data_url(whole))) is None
    assert broken(READ.validate_python(data_url(whole[: len(whole) // 2]))) == "the picture is cut short, or broken"


def test_a_url_in_the_schema_says_what_it_is() -> None:
    schema = READ.json_schema()
    assert schema["format"] == "data-url" and schema["maxLength"] > 4 / 3 * MAX_BYTES
    assert len(base64.b64encode(bytes(MAX_BYTES))) + len("data:image/jpeg;base64,") == schema["maxLength"]
