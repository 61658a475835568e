"""What a request may begin from."""

from __future__ import annotations

import base64
import io
from typing import Any

import PIL.Image
import pytest
from pydantic import ValidationError

from guidance.picture import data_url
from jobs.request import GenerationRequest, RequestProblems, resolve
from tests.jobs.requests import LABELS, TEXT


def picture(width: int = 64, height: int = 64) -> str:
    file = io.BytesIO()
    PIL.Image.new("RGB", (width, height), "red").save(file, "png")
    return data_url(file.getvalue())


def asked(source: dict[str, Any] | None = None, **fields: Any) -> GenerationRequest:
    said = {"image": picture()} | (source or {})
    return GenerationRequest.model_validate({"prompt": "a red star", "source": said} | fields)


def refusal(request: GenerationRequest) -> tuple[str, str, str]:
    with pytest.raises(RequestProblems) as found:
        resolve(request, TEXT)
    [problem] = found.value.problems
    return problem.pointer, problem.code, problem.detail


def test_a_request_that_begins_from_a_picture_is_resolved_once() -> None:
    once = resolve(asked({"prompt": "a blue star", "weight": 1}), TEXT)
    assert once.source is not None and (once.source.wanted, once.source.weight) == ("a blue star", 1)
    assert resolve(GenerationRequest.model_validate_json(once.model_dump_json()), TEXT) == once


def test_the_picture_has_the_size_of_the_image() -> None:
    detail = "the picture is 48 x 64 pixels and must be 64 x 64 pixels, the image's 64 x 64"
    assert refusal(asked({"image": picture(48)})) == ("/source/image", "wrong_picture_size", detail)
    assert resolve(asked({"image": picture(72)}, width=72), TEXT).width == 72


def test_a_picture_whose_pixels_cannot_be_read_is_refused_when_it_is_asked_for() -> None:
    whole = picture()
    cut = data_url(base64.b64decode(whole.partition(",")[2])[:60])
    assert refusal(asked({"image": cut})) == ("/source/image", "picture", "the picture is cut short, or broken")


def test_one_source_gives_one_image() -> None:
    pointer, code, detail = refusal(asked(n=3))
    assert (pointer, code) == ("/n", "too_many_images")
    assert "n = 3" in detail and "at most 1" in detail


def test_what_cannot_be_inverted_is_refused_where_it_was_said() -> None:
    assert refusal(asked(sampler={"type": "heun"}))[:2] == ("/sampler/type", "unsupported_sampler")
    pointer, code, detail = refusal(asked(sampler={"type": "ddim", "eta": 0.5}))
    assert (pointer, code) == ("/sampler/eta", "unsupported_sampler") and "eta = 0.5" in detail and "eta = 0," in detail
    assert refusal(asked(guidance={"combiner": {"type": "apg"}}))[:2] == ("/source/weight", "missing_weight")
    resolve(asked({"weight": 1}, guidance={"combiner": {"type": "apg"}}), TEXT)


def test_a_sampler_that_the_model_cannot_run_is_told_alone() -> None:
    assert refusal(asked(sampler={"type": "ddim", "spacing": "karras"}))[1] == "unsupported_spacing"


def test_what_it_shows_is_said_as_the_model_takes_it() -> None:
    assert refusal(asked({"label": 1}))[:2] == ("/source/label", "wrong_condition")
    small = {"image": picture(LABELS.width, LABELS.height), "label": 99}
    with pytest.raises(RequestProblems) as found:
        resolve(GenerationRequest.model_validate({"label": 0, "source": small}), LABELS)
    [problem] = found.value.problems
    assert (problem.pointer, problem.code) == ("/source/label", "unknown_label") and "label = 99" in problem.detail


@pytest.mark.parametrize("said", [{"prompt": "a", "label": 1}, {"weight": 1e9}, {"image": "data:,"}, {"strength": 1}])
def test_what_is_not_well_formed_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        asked(said)
