"""The gallery: an example of every method that the demo model can run, and a picture of each in the repository."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from cli.docs import methods
from cli.gallery import FOLDER, PLAIN, examples
from jobs.request import GenerationRequest, resolve
from tests.jobs.requests import TEXT

EXAMPLES = dict(examples())


def test_every_method_has_an_example_and_a_picture() -> None:
    names = {f"{stage}-{method.type_name()}" for stage, method in methods()}
    assert set(EXAMPLES) == names and PLAIN in names
    assert {path.stem for path in FOLDER.glob("*.png")} == names, "run `make pictures`"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_can_be_run(name: str) -> None:
    request: dict[str, Any] = EXAMPLES[name]
    resolve(GenerationRequest.model_validate(request), TEXT)


def test_pictures_are_of_the_models_size() -> None:
    for path in FOLDER.glob("*.png"):
        with Image.open(path) as image:
            assert image.size == (64, 64), path.name
