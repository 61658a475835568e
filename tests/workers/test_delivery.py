"""What clients get: bytes that hold the pixels, and a document that says what was asked for."""

from __future__ import annotations

import hashlib
import io
import json

import numpy as np
import PIL.Image
import pytest

from tests.workers.conftest import MakeTask, run_to_end
from workers.delivery import document, drawn, encode, encoded, shrunk
from workers.engine import Engine

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize("format", ["png", "webp"])
def test_lossless_formats_keep_every_byte(format: str) -> None:
    with PIL.Image.open(io.BytesIO(encode(PIXELS, format))) as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), PIXELS)


def test_a_preview_is_shrunk_only_when_it_is_large() -> None:
    large = np.zeros((20, 40, 3), dtype=np.uint8)
    assert shrunk(large, 10).shape == (5, 10, 3)
    assert np.array_equal(shrunk(PIXELS, 10), PIXELS)


def test_jpeg_stays_close_on_smooth_pictures() -> None:
    smooth = np.broadcast_to(np.linspace(0, 255, 64).astype(np.uint8)[:, None, None], (64, 64, 3)).copy()
    with PIL.Image.open(io.BytesIO(encode(smooth, "jpeg"))) as image:
        assert np.abs(np.asarray(image).astype(int) - smooth).max() <= 3


def test_an_encoded_image_knows_its_size_and_hash(engine: Engine, make_task: MakeTask) -> None:
    [outcome] = run_to_end(engine, [make_task(seed=3)])
    image = encoded(outcome.images[0], "png")
    assert (image.width, image.height, image.seed) == (4, 4, 3)
    assert image.sha256 == hashlib.sha256(image.data).hexdigest()


@pytest.mark.parametrize(("detail", "columns"), [("summary", False), ("full", True)])
def test_the_document_holds_what_was_asked_for(engine: Engine, make_task: MakeTask, detail: str, columns: bool) -> None:
    task = make_task(diagnostics=detail, n=2)
    [outcome] = run_to_end(engine, [task])
    written = document(outcome, task.request, drawn(outcome, task.request))
    assert written is not None and json.loads(json.dumps(written, allow_nan=False)) == written
    for name in ("columns", "pictures"):
        assert [(name in image) for image in written["images"]] == [columns] * 2
    assert written["images"][0]["summary"]["nfe"] == 8


def test_without_diagnostics_there_is_no_document(engine: Engine, make_task: MakeTask) -> None:
    task = make_task(diagnostics="off")
    [outcome] = run_to_end(engine, [task])
    assert document(outcome, task.request, drawn(outcome, task.request)) is None
