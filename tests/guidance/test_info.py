"""What a model cannot run is said before it is run: one test a rule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidance.info import CAPABILITIES, ModelInfo, Problem
from guidance.models.gaussians import Gaussians
from guidance.noise import NoiseTable
from guidance.samplers import DDIM, LMS, DPMpp2M, Euler, EulerAncestral, Heun, Sampler
from guidance.spec import GuidanceSpec
from tests.guidance.strategies import LAW, runs

ABLE = ModelInfo(
    id="able",
    family="stable_diffusion",
    condition="text",
    width=64,
    height=64,
    size_multiple=8,
    max_size=256,
    data="pixel",
    capabilities=frozenset(CAPABILITIES),
    layers=("down.0.0", "mid.0", "up.0.0"),
    classes=("red", "star"),
    prediction_type="eps",
    noise=NoiseTable(),
)
BARE = ABLE.model_copy(update={"id": "bare", "capabilities": frozenset()})
LATENT = ABLE.model_copy(update={"id": "latents", "data": "latent"})


def problems(info: ModelInfo, sampler: Sampler | None = None, **guidance: Any) -> list[Problem]:
    return info.problems(GuidanceSpec.model_validate(guidance), sampler or DDIM())  # type: ignore[arg-type]


@LAW
@given(run=runs(st.integers(2, 250)))
def test_a_model_with_everything_runs_everything(run: tuple[GuidanceSpec, Sampler]) -> None:
    guidance, sampler = run
    assert ABLE.problems(guidance, sampler) == []  # type: ignore[arg-type]


def test_a_model_survives_json() -> None:
    for info in (ABLE, LATENT, Gaussians.pictures().info):
        assert ModelInfo.model_validate_json(info.model_dump_json()) == info


def test_guidance_needs_a_null_condition() -> None:
    [problem] = problems(BARE, combiner={"type": "cfg"})
    assert (problem.pointer, problem.code) == ("/guidance/combiner/type", "missing_capability")
    assert problem.detail == "cfg needs a model with null_condition, which bare lacks"


def test_a_weight_of_1_needs_no_null_condition() -> None:
    assert problems(BARE, schedule={"type": "constant", "weight": 1}) == []


def test_a_perturbation_needs_attention_and_no_null_condition() -> None:
    spec: dict[str, Any] = {"schedule": {"type": "constant", "weight": 1}, "perturbation": [{"type": "pag"}]}
    [problem] = problems(BARE, **spec)
    assert problem.pointer == "/guidance/perturbation/0/type"
    assert problem.detail == "pag needs a model with attention, which bare lacks"
    assert problems(BARE.model_copy(update={"capabilities": {"attention"}, "layers": ("mid.0",)}), **spec) == []


def test_a_perturbation_of_noise_predictions_is_undefined_at_zero_signal() -> None:
    table = NoiseTable(rescale_betas_zero_snr=True)
    ends = ABLE.model_copy(update={"prediction_type": "v", "noise": table})
    [problem] = problems(ends, perturbation=[{"type": "pag"}, {"type": "sag"}])
    assert (problem.pointer, problem.code) == ("/guidance/perturbation/1/type", "undefined_at_zero_signal")
    assert problems(ends, perturbation=[{"type": "sag", "start": 0.1}]) == []


def test_a_layer_must_be_one_of_the_models() -> None:
    [problem] = problems(ABLE, perturbation=[{"type": "pag", "layers": ["mid", "up.3"]}])
    assert (problem.pointer, problem.code) == ("/guidance/perturbation/0/layers/1", "unknown_layer")
    assert problem.detail == "layers = up.3: able has down.0.0, mid.0, up.0.0"


def test_prompts_of_stages_must_suit_the_model() -> None:
    label, text = {"label": 3}, {"prompt": "a star"}
    [problem] = problems(ABLE, combiner={"type": "composable", "terms": [text, label]})
    assert (problem.pointer, problem.code) == ("/guidance/combiner/terms/1/label", "wrong_condition")
    classes = ABLE.model_copy(update={"condition": "label", "labels": ("a", "b")})
    [problem] = problems(classes, condition=[{"type": "swap", "changes": [text]}])
    assert problem.pointer == "/guidance/condition/0/changes/0/prompt"
    [problem] = problems(classes, condition=[{"type": "swap", "changes": [label]}])
    assert problem.detail == "label = 3: able has labels 0 to 1"


@pytest.mark.parametrize("sampler", [Heun(steps=4), LMS(steps=4)])
def test_cfgpp_is_defined_for_some_samplers(sampler: Sampler) -> None:
    [problem] = problems(ABLE, sampler, combiner={"type": "cfgpp"})
    assert problem.pointer == "/sampler/type"
    assert (
        problem.detail == f"cfgpp is defined for ddim, dpmpp_2m, euler, euler_ancestral, not for {sampler.type_name()}"
    )
    for able in (DPMpp2M(steps=4), Euler(steps=4)):
        assert problems(ABLE, able, combiner={"type": "cfgpp"}) == []


def test_cads_needs_a_condition_that_can_be_noised() -> None:
    info = ABLE.model_copy(update={"capabilities": frozenset({"null_condition"})})
    [problem] = problems(info, condition=[{"type": "cads"}])
    assert (problem.pointer, problem.code) == ("/guidance/condition/0/type", "missing_capability")


@pytest.mark.parametrize("stage", ["static_threshold", "dynamic_threshold"])
def test_thresholds_on_latents_must_be_meant(stage: str) -> None:
    [problem] = problems(LATENT, correction=[{"type": "rescale"}, {"type": stage, "bound": 2}])
    assert (problem.pointer, problem.code) == ("/guidance/correction/1/latent_ok", "threshold_on_latents")
    assert "-2 to 2" in problem.detail
    assert problems(LATENT, correction=[{"type": stage, "latent_ok": True}]) == []


def test_a_spacing_that_a_solver_does_not_know() -> None:
    [problem] = problems(ABLE, EulerAncestral(spacing="karras"))
    assert (problem.pointer, problem.code) == ("/sampler/spacing", "unsupported_spacing")
    assert problem.detail == "spacing = karras is not defined for euler_ancestral"


@pytest.mark.parametrize(("spacing", "refused"), [("karras", 1), ("linspace", 1), ("leading", 0), ("trailing", 0)])
def test_a_spacing_between_two_ends_takes_two_steps(spacing: str, refused: int) -> None:
    sampler = Euler.model_validate({"spacing": spacing, "steps": 1})
    assert [problem.code for problem in problems(ABLE, sampler)] == ["too_few_steps"] * refused


@pytest.mark.parametrize(("steps", "codes"), [(99, []), (100, ["too_many_steps"]), (250, ["too_many_steps"])])
def test_no_more_steps_than_noise_levels(steps: int, codes: list[str]) -> None:
    info = ABLE.model_copy(update={"noise": NoiseTable(num_train_timesteps=100)})
    assert [problem.code for problem in problems(info, DDIM(steps=steps))] == codes


@pytest.mark.parametrize(("sampler", "refused"), [(Heun(), 1), (LMS(), 1), (Euler(), 0), (DDIM(), 0)])
def test_some_solvers_cannot_start_at_zero_signal(sampler: Sampler, refused: int) -> None:
    info = ABLE.model_copy(update={"prediction_type": "v", "noise": NoiseTable(rescale_betas_zero_snr=True)})
    assert [problem.code for problem in problems(info, sampler)] == ["unsupported_sampler"] * refused


@pytest.mark.parametrize(
    ("sampler", "schedule", "codes"),
    [
        (DDIM(spacing="trailing"), {"type": "constant"}, ["undefined_at_zero_signal"]),
        (DDIM(spacing="leading"), {"type": "constant"}, []),
        (Euler(spacing="trailing"), {"type": "constant"}, []),
        (DDIM(spacing="trailing"), {"type": "interval"}, []),
    ],
)
def test_a_combiner_of_noise_predictions_cannot_start_at_zero_signal(
    sampler: Sampler, schedule: dict[str, Any], codes: list[str]
) -> None:
    """There they are all x itself. Solvers in sigma start a little beside it, an interval later."""
    info = ABLE.model_copy(update={"prediction_type": "v", "noise": NoiseTable(rescale_betas_zero_snr=True)})
    found = problems(info, sampler, combiner={"type": "base_norm"}, schedule=schedule)
    assert [problem.code for problem in found] == codes
    assert problems(info, sampler, combiner={"type": "cfg"}, schedule=schedule) == []


@pytest.mark.parametrize(
    ("width", "height", "pointers"),
    [(64, 64, []), (256, 8, []), (60, 64, ["/width"]), (264, 0, ["/width", "/height"])],
)
def test_sizes_are_multiples_up_to_a_bound(width: int, height: int, pointers: list[str]) -> None:
    found = ABLE.size_problems(width, height)
    assert [problem.pointer for problem in found] == pointers
    assert all("multiples of 8 up to 256" in problem.detail for problem in found)


def test_every_problem_comes_at_once() -> None:
    info = BARE.model_copy(update={"data": "latent"})
    found = problems(info, EulerAncestral(spacing="karras"), correction=[{"type": "static_threshold"}])
    assert [problem.code for problem in found] == ["missing_capability", "threshold_on_latents", "unsupported_spacing"]
