"""SAG against diffusers' masking and by hand. Hong et al. 2022, arXiv:2210.00939."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionSAGPipeline

from guidance.attention import Captured
from guidance.noise import Level
from guidance.perturbations import SAG
from guidance.perturbations.sag import blurred, mask
from tests.guidance.steps import a_step, noise

T = 400
SCHEDULER = DDIMScheduler(clip_sample=False)


def level() -> Level:
    bar = float(SCHEDULER.alphas_cumprod[T])
    return Level(float(T), bar**0.5, (1 - bar) ** 0.5)


def second_branch(self_map: torch.Tensor, x: torch.Tensor, eps: torch.Tensor, **fields: float) -> torch.Tensor:
    """What the network is asked the second time."""
    sag = SAG(**fields)
    step = sag.prepare(a_step(x=x, level=level()))
    push = sag.push(step)
    [base] = next(push)
    base.attention[-1].maps.append(Captured("mid.0", self_map, self_map))  # type: ignore[attr-defined]
    [second] = push.send([eps])
    return second.x


def test_the_degraded_latent_is_diffusers() -> None:
    x, eps, heads = noise(1, (1, 4, 16, 16)), noise(2, (1, 4, 16, 16)), noise(3, (2, 64, 64)).softmax(-1)
    denoised = (x - level().sigma * eps) / level().alpha
    pipeline = SimpleNamespace(unet=SimpleNamespace(config=SimpleNamespace(attention_head_dim=2)), scheduler=SCHEDULER)
    theirs = StableDiffusionSAGPipeline.sag_masking(pipeline, denoised, heads, (8, 8), torch.tensor(T), eps)
    torch.testing.assert_close(second_branch(heads.mean(0), x, eps), theirs, rtol=1e-5, atol=1e-5)


def test_without_salient_tokens_the_second_input_is_the_first() -> None:
    x, eps = noise(1, (1, 4, 16, 16)), noise(2, (1, 4, 16, 16))
    even = torch.full((64, 64), 1 / 64, dtype=torch.float64)
    torch.testing.assert_close(second_branch(even, x, eps, threshold=1.001), x)


def test_the_mask_is_where_attention_goes_and_covers_its_token() -> None:
    self_map = torch.zeros(4, 4, dtype=torch.float64)
    self_map[:, 2] = 1
    found = mask(self_map, 1.0, noise(1, (1, 1, 4, 4)))[0, 0]
    assert found.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]


def test_the_picture_is_the_mask() -> None:
    """Outside it the second input is the first, inside it is not."""
    x, eps, step = noise(1, (1, 4, 8, 8)), noise(2, (1, 4, 8, 8)), a_step(x=noise(1, (1, 4, 8, 8)), level=level())
    sag = SAG()
    push = sag.push(sag.prepare(step))
    [base] = next(push)
    self_map = 2 * torch.eye(16, dtype=torch.float64)[[0, 5] * 8]
    base.attention[-1].maps.append(Captured("mid.0", self_map, self_map))  # type: ignore[attr-defined]
    [second] = push.send([eps])
    picture = step.pictures["sag_mask"]
    assert (picture.names, int(picture.cells.sum())) == (("kept", "blurred"), 8)
    assert torch.equal((second.x - x).abs().amax((0, 1)) > 1e-9, picture.cells == 1)


def test_the_push_is_the_scaled_difference_of_noise_predictions() -> None:
    sag = SAG(scale=2.0)
    step = sag.prepare(a_step())
    push = sag.push(step)
    [base] = next(push)
    assert base is step.uncond and base.name == "uncond"
    base.attention[-1].maps.append(Captured("mid.0", noise(4, (12, 12)).softmax(-1), noise(5, (12, 3))))  # type: ignore[attr-defined]
    push.send([noise(1)])
    with pytest.raises(StopIteration) as done:
        push.send([noise(2)])
    torch.testing.assert_close(done.value.value, 2.0 * (noise(1) - noise(2)))


def test_a_blur_keeps_a_constant() -> None:
    flat = torch.full((1, 2, 3, 8), 0.7)
    torch.testing.assert_close(blurred(flat, 1.0), flat)
