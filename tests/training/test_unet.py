"""Noise levels, times and the weighted loss."""

import math

import pytest
import torch
from torch import Generator, Tensor, nn

from training.sampling import draw_noise, sample_chunk
from training.unet import (
    DECISIONS,
    KARRAS,
    TRAIN_STEPS,
    Denoiser,
    denoising_loss,
    focused_times,
    log_snr_times,
    new_scheduler,
    noise_levels,
    uniform_times,
)


class Fixed(nn.Module):
    """A denoiser that predicts the same value everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        return torch.full_like(x, self.value)


def test_the_last_step_is_almost_pure_noise() -> None:
    levels = noise_levels()
    assert float(levels.alpha[-1]) < 0.0064
    torch.testing.assert_close(levels.alpha**2 + levels.sigma**2, torch.ones(1000))


def test_sampling_starts_at_the_last_step() -> None:
    scheduler = new_scheduler()
    for steps in (4, 30, 50):
        scheduler.set_timesteps(steps)
        assert int(scheduler.timesteps[0]) == 999


def test_each_stratum_gets_one_time() -> None:
    t = uniform_times(50, Generator().manual_seed(0))
    assert (t // 20).tolist() == list(range(50))


@pytest.mark.parametrize("around", [KARRAS, DECISIONS])
def test_focused_times_have_the_median_of_their_distribution(around: tuple[float, float]) -> None:
    levels = noise_levels()
    t = focused_times(1001, 1.0, levels, Generator().manual_seed(0), around)
    median = float((levels.sigma / levels.alpha)[t.median()].log())
    assert abs(median - around[0]) < 0.02
    assert torch.equal(t, t.sort().values)


def test_without_focus_times_are_uniform() -> None:
    t = focused_times(64, 0.0, noise_levels(), Generator().manual_seed(0))
    assert torch.equal(t, uniform_times(64, Generator().manual_seed(0)))


def test_the_loss_of_predicting_nothing_is_the_mean_weight() -> None:
    levels = noise_levels()
    snr = (levels.alpha / levels.sigma) ** 2
    t, eps = torch.arange(8, 1000, 16)[:62], torch.randn(62, 4, 16, 16, generator=Generator().manual_seed(0))
    silent: Denoiser = Fixed(0.0)  # type: ignore[assignment]
    loss = denoising_loss(silent, torch.zeros_like(eps), torch.zeros(62, 1), t, eps, levels)
    expected = (snr.clamp(max=5) / snr)[t] * eps.square().mean((1, 2, 3))
    assert float(loss) == pytest.approx(float(expected.mean()), rel=1e-5)


def test_the_loss_of_predicting_the_noise_is_zero() -> None:
    levels, eps = noise_levels(), torch.full((2, 4, 16, 16), 0.5)
    knowing: Denoiser = Fixed(0.5)  # type: ignore[assignment]
    assert (
        float(denoising_loss(knowing, torch.zeros_like(eps), torch.zeros(2, 1), torch.tensor([0, 999]), eps, levels))
        == 0
    )


class Ideal(nn.Module):
    """The exact noise prediction for data that is a constant image, and its text encoder: ids are the constant."""

    def __init__(self) -> None:
        super().__init__()
        self.text_encoder = Constant()

    def unet(self, x: Tensor, t: Tensor, cond: Tensor) -> "Output":
        levels = noise_levels()
        return Output((x - levels.alpha[t] * cond[..., None]) / levels.sigma[t])


class Constant(nn.Module):
    def forward(self, ids: Tensor) -> "Output":
        return Output(ids.float()[..., None])


class Output:
    def __init__(self, value: Tensor) -> None:
        self.sample = self.last_hidden_state = value


def test_sampling_lands_on_the_guided_mean() -> None:
    """For point masses at c and u the guided target is u + w (c - u), in closed form, up to the last alpha."""
    denoiser: Denoiser = Ideal()  # type: ignore[assignment]
    ids, null, noise = torch.full((2, 1), 3), torch.full((1, 1), 1), draw_noise(2, seed=0)
    for w in (1.0, 2.0, 4.0):
        x = sample_chunk(denoiser, ids, null, noise, w, steps=10)
        torch.testing.assert_close(x, torch.full_like(x, 1 + w * 2), atol=0.05, rtol=0)


def test_the_noise_of_a_row_does_not_depend_on_the_others() -> None:
    assert torch.equal(draw_noise(5, seed=9)[:2], draw_noise(2, seed=9))


def test_log_snr_times_follow_their_curve() -> None:
    """At the quantile u the level is that of lambda = -2 ln tan(a u + b), within a timestep; the median is 0."""
    levels = noise_levels()
    t = log_snr_times(1001, levels, Generator().manual_seed(0)).sort().values
    log_snr = 2 * (levels.alpha / levels.sigma).log()
    b = math.atan(math.exp(-10))
    a = math.atan(math.exp(10)) - b
    for u in (0.1, 0.25, 0.5, 0.75, 0.9):
        wanted = -2 * math.log(math.tan(a * u + b))
        assert float(log_snr[t[round(1000 * u)]]) == pytest.approx(wanted, abs=0.05)
    assert abs(float(log_snr[t[500]])) < 0.05


def test_levels_beyond_the_table_fall_on_its_ends() -> None:
    t = log_snr_times(10_000, noise_levels(), Generator().manual_seed(1))
    assert int(t.min()) == 0 and int(t.max()) == TRAIN_STEPS - 1
