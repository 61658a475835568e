"""What image files say of how they were made: enough to make them again, nothing private, and nobody is believed."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL.PngImagePlugin import PngInfo

from guidance.picture import data_url, digest
from guidance.spec import GuidanceSpec
from jobs.encoding import encode
from jobs.provenance import MAX_CHARACTERS, REMAKING, NoProvenance, missing, options, read, restore, text
from jobs.request import GenerationRequest
from tests.guidance.strategies import LAW, specs
from tests.jobs.requests import a_request

FORMATS = ("png", "webp", "jpeg")
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
PHOTO = data_url(encode(PIXELS, "webp"), "image/webp")


def file(said: str | None, format: str = "png") -> bytes:
    return encode(PIXELS, format, said)


def saying(**fields: Any) -> str:
    said = text(a_request(**fields), 7)
    assert said is not None
    return said


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_holds_the_request_that_makes_its_image_alone(format: str) -> None:
    request = a_request(prompt="Ein Schloß \N{CASTLE}", n=4, seed=5, output={"format": format, "previews": 3})
    said = text(request, 7)
    assert said is not None
    again = GenerationRequest.model_validate(read(file(said, format)))
    alone = request.model_copy(update={"n": 1, "seed": 7, "output": again.output})
    assert again == alone
    assert (again.output.format, again.output.previews) == (format, 0)


@LAW
@given(specs())
def test_any_spec_comes_back_as_it_was(spec: GuidanceSpec) -> None:
    request = a_request().model_copy(update={"guidance": spec})
    said = text(request, 7)
    assert said is not None
    found = read(file(said))
    restore(found, {digest(picture): picture for picture in pictures_of(request)})
    assert GenerationRequest.model_validate(found).guidance == spec


def pictures_of(request: GenerationRequest) -> set[str]:
    return {part for part in json.dumps(request.model_dump(mode="json")).split('"') if part.startswith("data:image")}


def test_every_field_is_known_to_change_the_pixels_or_not_to() -> None:
    """A new field of requests must be put on one side: in `REMAKING`, or here."""
    private = {"output", "diagnostics", "priority", "metadata", "webhook"}
    assert GenerationRequest.model_fields.keys() - private == set(REMAKING)


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_the_clients_own_is_not_in_the_file(format: str) -> None:
    said = saying(metadata={"customer": "Miller"}, diagnostics="full", output={"previews": 3})
    assert said == saying()
    data = file(said, format)
    assert b"guidepost" in data
    assert b"Miller" not in data and b"customer" not in data


def test_an_image_says_the_same_alone_and_among_others() -> None:
    assert text(a_request(n=4, seed=5), 7) == text(a_request(n=1, seed=7), 7)


def test_pictures_are_named_by_their_hash_and_can_be_put_back() -> None:
    losses = [{"type": "match", "image": PHOTO, "mask": None}]
    energy = [{"type": "mpgd", "losses": losses}]
    request = a_request(source={"image": PHOTO}, guidance={"energy": energy}, width=8, height=8)
    said = text(request, 7)
    assert said is not None and "base64" not in said
    found = read(file(said, "jpeg"))
    sha256 = digest(PHOTO).removeprefix("sha256:")
    assert list(missing(found)) == [("/guidance/energy/0/losses/0/image", sha256), ("/source/image", sha256)]
    restore(found, {digest(PHOTO): PHOTO})
    assert list(missing(found)) == []
    assert GenerationRequest.model_validate(found) == request


def test_a_request_that_is_too_long_is_left_out_whole() -> None:
    long = "\N{CASTLE}" * 4000
    assert text(a_request(prompt=long), 7) is not None
    source = {"image": PHOTO, "prompt": long}
    assert text(a_request(prompt=long, negative_prompt=long, source=source, width=8, height=8), 7) is None


@pytest.mark.parametrize("format", FORMATS)
def test_the_longest_text_fits_every_format(format: str) -> None:
    request = {"prompt": "x" * (MAX_CHARACTERS - len(json.dumps({"request": {"prompt": ""}})))}
    said = json.dumps({"request": request})
    assert len(said) == MAX_CHARACTERS
    assert read(file(said, format)) == request


def png(name: str, said: str, **how: Any) -> bytes:
    chunks, data = PngInfo(), io.BytesIO()
    chunks.add_text(name, said, **how)
    PIL.Image.fromarray(PIXELS).save(data, "png", pnginfo=chunks)
    return data.getvalue()


def with_size(data: bytes, side: int) -> bytes:
    """A PNG whose header lies about its size."""
    import zlib

    header = data[12:16] + side.to_bytes(4, "big") * 2 + data[24:29]
    return data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no PNG, WebP or JPEG"),
        (b"GIF89a" + bytes(30), "no PNG, WebP or JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "no PNG, WebP or JPEG"),
        (file(saying())[:60], "no PNG, WebP or JPEG"),
        (with_size(file(saying()), 2**16), "no PNG, WebP or JPEG"),
        (png("guidepost", "a" * 2**21, zip=True), "no PNG, WebP or JPEG"),  # more than a chunk may become
        (file(None), "does not say"),
        (file(None, "webp"), "does not say"),
        (file(None, "jpeg"), "does not say"),
        (png("parameters", "a red circle, Steps: 20"), "does not say"),
        (png("guidepost", "a" * (MAX_CHARACTERS + 1)), f"at most {MAX_CHARACTERS}"),
        (png("guidepost", "a red circle"), "not in JSON"),
        (png("guidepost", "[" * 50_000), "not in JSON"),
        (png("guidepost", '{"request": {"seed": NaN}}'), "not in JSON"),
        (png("guidepost", '{"request": {"seed": ' + "9" * 5000 + "}}"), "not in JSON"),
        (png("guidepost", "[]"), "names no request"),
        (png("guidepost", '{"request": []}'), "names no request"),
        (png("guidepost", '{"request": {"webhook": {"url": "http://bad"}}}'), '"webhook", which no image file may'),
        (png("guidepost", '{"request": {"\\u001b[2J": 1}}'), '"\\u001b[2J"'),
        (png("guidepost", '{"request": {"output": {"previews": 16}}}'), "output that is no format"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else f"{len(value)} bytes",
)
def test_a_file_that_is_not_ours_is_told_apart_in_a_sentence(data: bytes, why: str) -> None:
    with pytest.raises(NoProvenance) as told:
        read(data)
    assert why in str(told.value)
    assert str(told.value).isprintable() and len(str(told.value)) < 200


def outcome(data: bytes) -> None:
    """Reading ends in a request or in NoProvenance; anything else fails the test."""
    try:
        found = read(data)
    except NoProvenance:
        return
    assert found.keys() <= {*REMAKING, "output"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    list(missing(found))


FUZZ = settings(LAW, max_examples=400)
FILES = st.sampled_from([file(saying(), format) for format in FORMATS])


@FUZZ
@given(FILES, st.data())
def test_damaged_files_break_nothing(data: bytes, drawn: st.DataObject) -> None:
    start = drawn.draw(st.integers(0, len(data)))
    middle = drawn.draw(st.binary(max_size=40))
    outcome(data[:start] + middle + data[start + drawn.draw(st.integers(0, 40)) :])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(REMAKING), inner, max_size=3)
    ),
    max_leaves=8,
)


@FUZZ
@given(
    JSON.map(json.dumps)
    | JSON.map(lambda said: json.dumps({"request": said}))
    | st.text(alphabet=st.characters(codec="ascii"))
)
def test_any_text_is_answered_or_refused(said: str) -> None:
    outcome(file(said, "jpeg"))


@FUZZ
@given(st.binary(max_size=200))
def test_any_exif_is_answered_or_refused(said: bytes) -> None:
    data = io.BytesIO()
    PIL.Image.fromarray(PIXELS).save(data, "webp", exif=b"Exif\0\0" + said)
    outcome(data.getvalue())


def test_common_tools_find_it() -> None:
    """Where the readme of every such tool says: a text chunk, and the comment of the EXIF."""
    with PIL.Image.open(io.BytesIO(file("{}"))) as image:
        assert image.info["guidepost"] == "{}"
    exif = options("{}", "jpeg")["exif"]
    assert exif.get_ifd(0x8769)[0x9286] == b"ASCII\0\0\0{}"
    assert exif[0x0131].startswith("guidepost ")
