"""What clients get: bytes that hold the pixels, and a document that says what was asked for."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from jobs.encoding import encode
from jobs.provenance import NoProvenance, read
from tests.workers.conftest import MakeTask, run_to_end
from workers.delivery import document, drawn, encoded, shrunk
from workers.engine import Engine

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_a_preview_is_shrunk_only_when_it_is_large() -> None:
    large = np.zeros((20, 40, 3), dtype=np.uint8)
    assert shrunk(large, 10).shape == (5, 10, 3)
    assert np.array_equal(shrunk(PIXELS, 10), PIXELS)


def test_an_encoded_image_knows_its_size_and_hash(engine: Engine, make_task: MakeTask) -> None:
    task = make_task(seed=3)
    [outcome] = run_to_end(engine, [task])
    image = encoded(outcome.images[0], task.request)
    assert (image.width, image.height, image.seed) == (4, 4, 3)
    assert image.sha256 == hashlib.sha256(image.data).hexdigest()
    assert read(image.data)["seed"] == 3


def test_a_file_says_how_it_was_made_unless_it_shall_not(engine: Engine, make_task: MakeTask) -> None:
    task = make_task(output={"embed": False})
    [outcome] = run_to_end(engine, [task])
    image = encoded(outcome.images[0], task.request)
    assert image.data == encode(outcome.images[0].pixels, "png")
    with pytest.raises(NoProvenance, match="does not say"):
        read(image.data)


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
