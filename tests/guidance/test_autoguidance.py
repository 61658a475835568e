"""Autoguidance, as a combiner and beside others. Karras et al. 2024, arXiv:2406.02507."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from guidance.combiners import Autoguidance
from guidance.companions import companion_problems
from guidance.info import ModelInfo, Problem
from guidance.models.gaussians import Gaussians
from guidance.models.stable_diffusion import StableDiffusion, fingerprint
from guidance.noise import NoiseTable
from guidance.perturbations import AutoguidanceTerm as Term
from guidance.perturbations import SkipLayer
from guidance.prediction import Kind, Prediction
from guidance.protocol import Branch, Companion, Condition, Conditions, drive
from guidance.samplers import DDIM, AnySampler, Heun
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.guidance.steps import a_step, answered, noise
from tests.guidance.strategies import LAW
from tests.guidance.test_info import ABLE
from tests.oracles import Pair, constant

COND, WEAK = noise(1), noise(2)
moderate = st.floats(-20, 20)


def told(model: str) -> Condition:
    """A condition that is also told to `model`."""
    other = Condition({"text": noise(8, (1, 3, 2))}, model=Companion(model, "eps"))
    return Condition({"text": noise(9, (1, 5, 6))}, elsewhere={model: other})


# Self-checks


@LAW
@given(weight=moderate)
def test_equal_models_are_that_model(weight: float) -> None:
    value, _ = answered(Autoguidance().guide(a_step(weight)), {"cond": COND, "weak": COND})
    torch.testing.assert_close(value, COND, rtol=0, atol=0)


def test_a_weight_of_1_is_the_strong_model_and_asks_no_other() -> None:
    value, asked = answered(Autoguidance().guide(a_step(1.0)), {"cond": COND})
    assert asked == ["cond"] and torch.equal(value, COND)


@LAW
@given(weight=moderate)
def test_is_the_authors_lerp(weight: float) -> None:
    value, _ = answered(Autoguidance().guide(a_step(weight)), {"cond": COND, "weak": WEAK})
    torch.testing.assert_close(value, WEAK.lerp(COND, weight), rtol=1e-12, atol=1e-12)


@LAW
@given(weight=moderate)
def test_the_term_at_weight_1_is_the_combiner_at_a_weight_more(weight: float) -> None:
    value, _ = answered(Autoguidance().guide(a_step(weight)), {"cond": COND, "weak": WEAK})
    push, _ = answered(Term(scale=weight - 1).push(a_step(1.0)), {"cond": COND, "autoguidance": WEAK})
    torch.testing.assert_close(COND + push, value, rtol=1e-12, atol=1e-11)


# Which model is asked, and what


@pytest.mark.parametrize("method", [Autoguidance, Term])
def test_another_model_is_told_the_same_at_the_same_noise(method: type[Autoguidance] | type[Term]) -> None:
    """In an encoding of its own, and without what the request's own model is asked of its attention."""
    step, skipping = a_step(), SkipLayer().edit()
    cond = replace(step.cond, cond=told("small"), attention=(skipping,))
    weak = method(model="small").weak("weak", replace(step, cond=cond))
    assert (weak.x is cond.x, weak.level, weak.cond, weak.attention) == (
        True,
        cond.level,
        cond.cond.elsewhere["small"],
        (),
    )


@pytest.mark.parametrize("method", [Autoguidance, Term])
def test_without_a_model_it_is_the_same_one_without_its_blocks(method: type[Autoguidance] | type[Term]) -> None:
    step = a_step()
    weak = method(layers=("mid", "up.1")).weak("weak", step)
    assert (weak.x is step.cond.x, weak.cond is step.cond.cond) == (True, True)
    assert [(type(edit), edit.layers) for edit in weak.attention] == [(type(SkipLayer().edit()), ("mid", "up.1"))]


def test_attention_is_needed_where_the_model_is_the_same() -> None:
    """A model that is named may be of any family."""
    spec: dict[str, Any] = {"combiner": {"type": "autoguidance"}, "perturbation": [{"type": "autoguidance"}]}
    bare = ABLE.model_copy(update={"capabilities": frozenset()})
    found = bare.problems(GuidanceSpec.model_validate(spec), DDIM())
    assert [problem.pointer for problem in found] == ["/guidance/combiner/type", "/guidance/perturbation/0/type"]
    named: dict[str, Any] = {
        stage: [part | {"model": "small"} for part in parts] if isinstance(parts, list) else parts | {"model": "small"}
        for stage, parts in spec.items()
    }
    assert bare.problems(GuidanceSpec.model_validate(named), DDIM()) == []


# Whole trajectories


@pytest.fixture(scope="module")
def net(folder: Path) -> StableDiffusion:
    return StableDiffusion.load(folder, "tiny", torch.device("cpu"), torch.float32)


def first(net: StableDiffusion, **guidance: Any) -> tuple[list[Branch], Tensor, list[Tensor]]:
    """The branches of the first step, the guided output made of them, and noises that stood for the predictions."""
    conditions = Conditions(net.encode("a star"), net.encode(None))
    shape, spec = net.shape(net.info.width, net.info.height), GuidanceSpec.model_validate(guidance)
    trajectory = Trajectory(net, spec, DDIM(steps=4), conditions, shape, 1)
    run = trajectory.run()
    asked = next(run)
    answers = [noise(seed, tuple(branch.x.shape), torch.float32) for seed, branch in enumerate(asked)]
    run.send(answers)
    run.close()
    assert trajectory.guided is not None
    return asked, trajectory.guided.value, answers


def test_beside_cfg_it_is_the_three_term_combination(net: StableDiffusion) -> None:
    """c + gamma (c - u) + s (c - p), one evaluation of c."""
    asked, guided, (c, u, p) = first(net, perturbation=[{"type": "autoguidance", "scale": 1.5}])
    assert [branch.name for branch in asked] == ["cond", "uncond", "autoguidance"]
    torch.testing.assert_close(guided, c + 4 * (c - u) + 1.5 * (c - p))


def test_without_a_model_it_is_skip_layer_guidance_at_weight_minus_1(net: StableDiffusion) -> None:
    """D_0 + w (D_1 - D_0) = D_1 + (w - 1) (D_1 - D_0)."""

    def sampled(**guidance: Any) -> Tensor:
        conditions = Conditions(net.encode("a star"), net.encode(None))
        shape, spec = net.shape(net.info.width, net.info.height), GuidanceSpec.model_validate(guidance)
        return drive(Trajectory(net, spec, DDIM(steps=4), conditions, shape, 1).run(), net.evaluate)

    auto = sampled(combiner={"type": "autoguidance"}, schedule={"type": "constant", "weight": 2.5})
    alone = {"type": "constant", "weight": 1}
    skip = sampled(schedule=alone, perturbation=[{"type": "skip_layer", "scale": 1.5}])
    torch.testing.assert_close(auto, skip, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(auto, sampled(schedule=alone), atol=1e-2)


class In(Gaussians):
    """The mixture, answering in another parameterisation."""

    def __init__(self, kind: Kind, means: Tensor, stds: Tensor) -> None:
        super().__init__(means, stds, id=kind)
        self.info = self.info.model_copy(update={"prediction_type": kind})

    def evaluate(self, branches: Sequence[Branch]) -> list[Tensor]:
        outputs = zip(branches, super().evaluate(branches), strict=True)
        return [Prediction(b.x, b.level, eps, "eps").view(self.info.prediction_type) for b, eps in outputs]


def by_two(strong: Gaussians, weak: Gaussians, sampler: AnySampler, **guidance: Any) -> Tensor:
    """Sampled with the models `strong` and `weak`, of one class each, without an engine."""
    other = replace(weak.label(0), model=Companion("weak", weak.info.prediction_type))
    cond = replace(strong.label(0), elsewhere={"weak": other})
    conditions = Conditions(cond, strong.encode(None))
    spec = GuidanceSpec.model_validate(guidance)
    trajectory = Trajectory(strong, spec, sampler, conditions, strong.shape(0, 0), 0)

    def evaluate(branches: Sequence[Branch]) -> list[Tensor]:
        return [(weak if branch.cond.model else strong).evaluate([branch])[0] for branch in branches]

    return drive(trajectory.run(), evaluate)


def one(mean: float, std: float) -> tuple[Tensor, Tensor]:
    return torch.full((1, 1, 4, 4), mean, dtype=torch.float64), torch.tensor([std], dtype=torch.float64)


@pytest.mark.parametrize("kind", ["eps", "v", "denoised"])
@pytest.mark.parametrize("sampler", [DDIM(steps=10), Heun(steps=10, spacing="karras")], ids=lambda s: s.type)
def test_of_two_gaussians_it_is_cfg_of_them(kind: Kind, sampler: AnySampler) -> None:
    """Whatever the weak one predicts. CFG's own trajectory is held against the exact flow elsewhere."""
    pair, weight = Pair(cond_std=0.4, uncond_std=0.8), 2.1
    strong = Gaussians(*one(pair.cond_mean, pair.cond_std))
    weak = In(kind, *one(pair.uncond_mean, pair.uncond_std))
    schedule = {"type": "constant", "weight": weight}
    value = by_two(strong, weak, sampler, combiner={"type": "autoguidance", "model": "weak"}, schedule=schedule)
    torch.testing.assert_close(value, pair.sample(constant(weight), sampler), rtol=1e-9, atol=1e-9)


def test_a_swapped_prompt_is_swapped_for_the_weak_model_too() -> None:
    """While it fades in, both are told the blend; after that, the new one."""
    old, ring = told("small"), told("small")
    ring = replace(ring, elsewhere={"small": Condition({"text": noise(7, (1, 3, 2))}, model=Companion("small", "eps"))})
    swap = {"type": "swap", "fade": 0.5, "changes": [{"prompt": "a ring", "at": 0.5}]}
    [change] = GuidanceSpec.model_validate({"condition": [swap]}).condition
    for index, share in ((4, 0.0), (6, 0.4), (9, 1.0)):
        step = a_step(others={"a ring": ring}, cond=replace(a_step().cond, cond=old), index=index)
        after = change.apply(step).cond.cond.elsewhere["small"]
        before, new = (condition.elsewhere["small"].embeddings["text"] for condition in (old, ring))
        torch.testing.assert_close(after.embeddings["text"], before.lerp(new, share))
        assert after.model == Companion("small", "eps")


def test_cads_cannot_noise_what_another_model_is_told() -> None:
    named = {"type": "autoguidance", "model": "small"}
    with pytest.raises(ValidationError, match="cads adds noise to an embedding that small has not"):
        GuidanceSpec.model_validate({"combiner": named, "condition": [{"type": "cads"}]})
    GuidanceSpec.model_validate({"combiner": {"type": "autoguidance"}, "condition": [{"type": "cads"}]})


# Models that cannot stand beside each other

WITHOUT_SIGNAL = NoiseTable(rescale_betas_zero_snr=True)


def problems(info: ModelInfo, other: ModelInfo, size: tuple[int, int] | None = None) -> list[Problem]:
    """Of `other` as the combiner's model."""
    spec = GuidanceSpec.model_validate({"combiner": {"type": "autoguidance", "model": other.id}})
    return companion_problems(spec, info, {other.id: other, info.id: info}, size)


def test_a_model_of_the_same_kind_may_be_asked() -> None:
    other = ABLE.model_copy(update={"id": "small", "prediction_type": "v", "capabilities": frozenset()})
    assert problems(ABLE, other, (64, 64)) == []


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"sample_space": "pixels 3"}, "model = small: its samples are pixels 3, and those of able are latents"),
        ({"noise": NoiseTable(beta_end=0.01)}, "model = small: its noise levels are not those of able"),
        ({"condition": "label"}, "model = small: it takes a label, and able a prompt"),
        ({"labels": ("a",)}, "model = small: its labels are not those of able"),
        ({"max_size": 32}, "model = small: width = 64: small takes multiples of 8 up to 32"),
    ],
)
def test_a_model_that_cannot_be_asked_is_refused_where_it_is_named(changes: dict[str, Any], detail: str) -> None:
    info = ABLE.model_copy(update={"sample_space": "latents"})
    first, *_ = problems(info, info.model_copy(update={"id": "small"} | changes), (64, 64))
    assert (first.pointer, first.code, first.detail) == ("/guidance/combiner/model", "unsuitable_model", detail)


def test_noise_predictions_cannot_be_converted_where_there_is_no_signal() -> None:
    info = ABLE.model_copy(update={"noise": WITHOUT_SIGNAL, "prediction_type": "v"})
    assert problems(info, info.model_copy(update={"id": "small"})) == []
    [problem] = problems(info, info.model_copy(update={"id": "small", "prediction_type": "eps"}))
    assert problem.detail.startswith("model = small: it predicts noise, which says nothing of the picture")


def test_spacing_is_the_sampler_s_matter_and_not_the_noise_levels() -> None:
    other = ABLE.model_copy(update={"id": "small", "noise": NoiseTable(timestep_spacing="leading", steps_offset=1)})
    assert problems(ABLE, other) == []


def test_every_place_that_names_a_model_is_checked() -> None:
    named = {"type": "autoguidance", "model": "nowhere"}
    spec = GuidanceSpec.model_validate({"combiner": named, "perturbation": [named | {"model": "able"}]})
    first, second = companion_problems(spec, ABLE, {"able": ABLE, "other": ABLE})
    assert (first.pointer, first.code) == ("/guidance/combiner/model", "unknown_model")
    assert first.detail == "model = 'nowhere' is not served beside able; there is other"
    assert (second.pointer, second.code) == ("/guidance/perturbation/0/model", "same_model")
    assert spec.companions == ["nowhere", "able"]


def test_latents_are_named_by_the_encoder_that_makes_them(net: StableDiffusion, folder: Path) -> None:
    """A decoder may be trained on: its latents stay the same."""
    again = StableDiffusion.load(folder, "again", torch.device("cpu"), torch.float16)
    before = fingerprint(net.vae.encoder)
    assert again.info.sample_space == net.info.sample_space and before in net.info.sample_space
    weight = next(again.vae.encoder.parameters())
    weight.data[0] += 1
    assert fingerprint(again.vae.encoder) != before


def test_gaussians_of_other_pictures_have_other_samples() -> None:
    spaces = {Gaussians(torch.zeros(1, 3, size, size), torch.ones(1)).info.sample_space for size in (4, 8)}
    assert spaces == {"pixels 3 x 4 x 4", "pixels 3 x 8 x 8"}
