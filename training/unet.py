"""The denoiser: a two-level UNet over 4x16x16 latents with cross-attention to the caption, and its loss."""

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextModel

from training.scenes import SIDE
from training.text import WIDTH
from training.vae import CHANNELS, FACTOR

TRAIN_STEPS = 1000
SNR_CAP = 5.0
LOG_SNR_BOUND = 20.0
KARRAS = (-0.4, 1.2)
"""Mean and deviation of ln(sigma / alpha) for data of unit deviation. Karras et al. 2022, arXiv:2206.00364, table 1."""
DECISIONS = (0.7, 1.0)
"""The same, where it is decided on latents this small what is where: at twice the data's deviation, give or take."""
LATENT_SIDE = SIDE // FACTOR


WIDTHS = (64, 128)
WEAK_WIDTHS = (32, 64)


def new_unet(widths: tuple[int, int] = WIDTHS) -> UNet2DConditionModel:
    """4.28M parameters at WIDTHS; attention (four heads, self and cross) at 16x16, 8x8 and in the middle."""
    return UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        layers_per_block=1,
        block_out_channels=widths,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        cross_attention_dim=WIDTH,
        attention_head_dim=4,  # the number of heads, in spite of the name
        norm_num_groups=16,
    )


def new_scheduler() -> DDIMScheduler:
    """Linear betas 1e-4 to 0.02 (Ho et al. 2020), noise prediction.

    Stable Diffusion's own betas leave alpha-bar = 0.0047 at the last step; on latents this small the mean of the
    initial noise would then decide the background's tone. The linear ones leave 0.00004. Trailing spacing starts
    sampling on that last step, whatever the number of steps (Lin et al. 2023, arXiv:2305.08891, section 3.3).
    """
    return DDIMScheduler(
        num_train_timesteps=TRAIN_STEPS,
        beta_schedule="linear",
        beta_start=1e-4,
        beta_end=0.02,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="epsilon",
        timestep_spacing="trailing",
    )


class Denoiser(nn.Module):
    """UNet and text encoder in one module. The text encoder stays as it has learned to read."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder.eval().requires_grad_(False)

    def channels_last(self) -> "Denoiser":
        """Convolution weights in the order that is a fifth faster on CPUs; in place."""
        return cast(Denoiser, cast(Any, self).to(memory_format=torch.channels_last))

    def forward(self, x: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        """Predicted noise (N, 4, 16, 16) for noisy latents x at network times t (N,) under captions ids (N, L)."""
        cond = self.text_encoder(ids).last_hidden_state
        eps = self.unet(x, t, cond).sample
        assert isinstance(eps, Tensor)
        return eps


@dataclass(frozen=True)
class NoiseLevels:
    """alpha and sigma of x = alpha * latents + sigma * eps for every network time, each (1000,)."""

    alpha: Tensor
    sigma: Tensor


def noise_levels() -> NoiseLevels:
    alpha_bar = new_scheduler().alphas_cumprod
    return NoiseLevels(alpha_bar.sqrt(), (1 - alpha_bar).sqrt())


def strata(count: int, generator: Generator) -> Tensor:
    """One number in each of `count` equal parts of (0, 1): uniform, with less variance than independent draws."""
    return (torch.arange(count) + torch.rand(count, generator=generator)) / count


def uniform_times(count: int, generator: Generator) -> Tensor:
    """Stratified uniform network times (count,)."""
    return (strata(count, generator) * TRAIN_STEPS).long().clamp(max=TRAIN_STEPS - 1)


def focused_times(
    count: int, focus: float, levels: NoiseLevels, generator: Generator, around: tuple[float, float] = KARRAS
) -> Tensor:
    """Network times (count,), a share `focus` of them with ln(sigma / alpha) ~ N(mean, deviation^2), the rest uniform.

    `around` is that mean and deviation. On latents this small the linear schedule spends half of its uniform times
    where only the background's tone can be told.
    """
    most, (mean, deviation) = round(focus * count), around
    ratio = mean + deviation * torch.special.ndtri(strata(most, generator).clamp(1e-6, 1 - 1e-6))
    near = torch.searchsorted((levels.sigma / levels.alpha).log(), ratio).clamp(max=TRAIN_STEPS - 1)
    return torch.cat([near, uniform_times(count - most, generator)])


def log_snr_times(count: int, levels: NoiseLevels, generator: Generator) -> Tensor:
    """Network times (count,) with lambda = ln(alpha^2 / sigma^2) = -2 ln tan(a u + b), u uniform, -20 < lambda < 20.

    Ho & Salimans 2022, arXiv:2207.12598, section 3.1: the levels of a cosine schedule in continuous time. Those beyond
    the first and the last level fall on them.
    """
    b = math.atan(math.exp(-LOG_SNR_BOUND / 2))
    a = math.atan(math.exp(LOG_SNR_BOUND / 2)) - b
    ratio = torch.tan(a * strata(count, generator).double() + b)  # sigma / alpha = exp(-lambda / 2)
    return torch.searchsorted((levels.sigma / levels.alpha).double(), ratio).clamp(max=TRAIN_STEPS - 1)


def denoising_loss(
    denoiser: Denoiser, latents: Tensor, ids: Tensor, t: Tensor, eps: Tensor, levels: NoiseLevels
) -> Tensor:
    """Error of the predicted noise, weighted by min(SNR, 5) / SNR (Hang et al. 2023, arXiv:2303.09556, eq. 8)."""
    alpha, sigma = (level[t][:, None, None, None] for level in (levels.alpha, levels.sigma))
    x = (alpha * latents + sigma * eps).contiguous(memory_format=torch.channels_last)
    error = F.mse_loss(denoiser(x, t, ids), eps, reduction="none").mean((1, 2, 3))
    snr = (levels.alpha[t] / levels.sigma[t]) ** 2
    return (error * snr.clamp(max=SNR_CAP) / snr).mean()
