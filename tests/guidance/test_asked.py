"""Numbers of a request are numbers."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from guidance.spec import GuidanceSpec
from jobs.request import GenerationRequest


@pytest.mark.parametrize(
    ("guidance", "place"),
    [
        ({"schedule": {"type": "constant", "weight": True}}, ("schedule", "constant", "weight")),
        ({"schedule": {"type": "constant", "weight": "7.5"}}, ("schedule", "constant", "weight")),
        ({"schedule": {"type": "constant", "weight": {"gamma": "2"}}}, ("schedule", "constant", "weight")),
        ({"schedule": {"type": "per_step", "weights": [1, None, True]}}, ("schedule", "per_step", "weights")),
        ({"reuse": {"type": "adaptive", "threshold": False}}, ("reuse", "adaptive", "threshold")),
        ({"correction": [{"type": "rescale", "phi": "1"}]}, ("correction", 0, "rescale", "phi")),
    ],
)
def test_texts_and_truth_values_are_no_numbers(guidance: dict[str, Any], place: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        GuidanceSpec.model_validate(guidance)
    assert place in [error["loc"][: len(place)] for error in refused.value.errors()]


@pytest.mark.parametrize("field", ["n", "seed", "width", "label"])
def test_nor_are_they_outside_of_the_guidance(field: str) -> None:
    for value in ("1", True):
        with pytest.raises(ValidationError) as refused:
            GenerationRequest.model_validate({field: value} | ({} if field == "label" else {"prompt": "a star"}))
        assert (field,) in [error["loc"] for error in refused.value.errors()]


def test_whole_numbers_and_texts_where_both_may_stand_are_taken() -> None:
    spec = GuidanceSpec.model_validate({"schedule": {"type": "constant", "weight": 7}})
    assert GuidanceSpec.model_validate_json(spec.model_dump_json()) == spec
    label = {"energy": [{"type": "classifier", "labels": ["red", 2]}]}
    assert GuidanceSpec.model_validate(label).energy[0].labels == ("red", 2)  # type: ignore[union-attr]
