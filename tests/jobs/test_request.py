"""What a client may ask for, and what it comes to."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from guidance.info import ModelInfo
from jobs.request import MAX_SEED, GenerationRequest, RequestProblems, resolve
from jobs.settings import Settings
from tests.jobs.requests import LABELS, TEXT


def asked(**fields: Any) -> GenerationRequest:
    return GenerationRequest.model_validate({"prompt": "a red circle"} | fields)


def pointers(request: GenerationRequest, info: ModelInfo, settings: Settings | None = None) -> list[str]:
    with pytest.raises(RequestProblems) as found:
        resolve(request, info, settings)
    return [problem.pointer for problem in found.value.problems]


def test_only_a_prompt_is_required() -> None:
    resolved = resolve(asked(), TEXT)
    assert (resolved.model, resolved.n, resolved.width, resolved.height) == ("shapes", 1, 64, 64)
    assert resolved.seed is not None and 0 <= resolved.seed < 2**32
    assert resolved.sampler.spacing == TEXT.noise.timestep_spacing


def test_resolving_changes_nothing_that_was_said() -> None:
    said = {"n": 3, "seed": 5, "width": 72, "sampler": {"type": "heun", "steps": 4, "spacing": "karras"}}
    resolved = resolve(asked(**said), TEXT).model_dump(mode="json")
    assert {name: resolved[name] for name in said} == said
    assert resolved["height"] == 64


def test_resolving_twice_is_resolving_once() -> None:
    once = resolve(asked(guidance={"preset": "cfg_cosine"}), TEXT)
    assert resolve(GenerationRequest.model_validate_json(once.model_dump_json()), TEXT) == once


def test_every_draw_of_a_seed_differs() -> None:
    assert resolve(asked(), TEXT).seed != resolve(asked(), TEXT).seed


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": None},
        {"label": 1},
        {"n": 0},
        {"n": 17},
        {"seed": -1},
        {"seed": MAX_SEED + 1},
        {"seed": MAX_SEED, "n": 2},
        {"steps": 30},
        {"sampler": {"type": "ddim", "step": 30}},
        {"guidance": {"weight": 3}},
        {"metadata": {str(key): "" for key in range(17)}},
        {"metadata": {"key": 1}},
        {"priority": "urgent"},
        {"output": {"format": "gif"}},
    ],
    ids=str,
)
def test_what_is_malformed_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        asked(**fields)


def test_the_last_seed_may_be_the_largest() -> None:
    assert asked(seed=MAX_SEED - 1, n=2).seed == MAX_SEED - 1


def test_every_reason_is_given_at_once() -> None:
    request = asked(width=65, height=1000, guidance={"correction": [{"type": "static_threshold"}]})
    assert pointers(request, TEXT) == ["/width", "/height", "/guidance/correction/0/latent_ok"]


def test_a_text_model_takes_a_prompt() -> None:
    assert pointers(GenerationRequest(label=1), TEXT) == ["/label"]


def test_a_label_model_takes_a_label_that_it_knows() -> None:
    assert pointers(asked(), LABELS) == ["/prompt"]
    assert pointers(GenerationRequest(label=2, negative_prompt="blue"), LABELS) == ["/label", "/negative_prompt"]
    assert resolve(GenerationRequest(label=1), LABELS).label == 1


def test_an_operator_may_set_lower_limits() -> None:
    settings = Settings(max_n=2, max_steps=10)
    assert pointers(asked(n=3), TEXT, settings) == ["/n", "/sampler/steps"]
    assert resolve(asked(n=2, sampler={"type": "ddim", "steps": 10}), TEXT, settings).n == 2
