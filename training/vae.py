"""The autoencoder: 64x64 pixels in [-1, 1] to 4x16x16 latents of unit covariance and back."""

from typing import cast

import torch
from diffusers import AutoencoderKL
from torch import Generator, Tensor
from torch.nn import functional as F

from training.scenes import SIDE

FACTOR = 4
CHANNELS = 4
CROP = 32
KL_WEIGHT = 3e-4
MSE_WEIGHT = 2.0
WHOLE_FROM = 0.7  # share of the training after which whole pictures replace crops


def new_vae() -> AutoencoderKL:
    """0.70M parameters, no attention. Group norm's statistics are those of whole pictures at the end of training."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 32, 64),
        layers_per_block=1,
        latent_channels=CHANNELS,
        norm_num_groups=8,
        sample_size=SIDE,
        scaling_factor=1.0,
        mid_block_add_attention=False,
    )


def draw_crops(pictures: Tensor, count: int, generator: Generator) -> Tensor:
    """Random CROP x CROP windows (count, 3, CROP, CROP) of uint8 pictures, in [-1, 1]."""
    rows = torch.randint(len(pictures), (count,), generator=generator)
    corners = torch.randint(SIDE - CROP + 1, (count, 2), generator=generator).tolist()
    windows = [pictures[row, :, y : y + CROP, x : x + CROP] for row, (y, x) in zip(rows.tolist(), corners, strict=True)]
    return to_signed(torch.stack(windows))


def draw_whole(pictures: Tensor, count: int, generator: Generator) -> Tensor:
    """Random whole pictures (count, 3, SIDE, SIDE), in [-1, 1]."""
    return to_signed(pictures[torch.randint(len(pictures), (count,), generator=generator)])


def to_signed(pictures: Tensor) -> Tensor:
    """uint8 to [-1, 1]."""
    return pictures.float() / 127.5 - 1


def vae_loss(vae: AutoencoderKL, x: Tensor, noise: Tensor) -> Tensor:
    """L1 + 2 MSE + a light pull of the posterior to N(0, 1) (Kingma & Welling 2013, eq. 10), all as means."""
    posterior = vae.encode(x).latent_dist
    decoded = vae.decode(posterior.mean + posterior.std * noise).sample
    kl: Tensor = 0.5 * (posterior.mean**2 + posterior.var - 1 - posterior.logvar).mean()
    return F.l1_loss(decoded, x) + MSE_WEIGHT * F.mse_loss(decoded, x) + KL_WEIGHT * kl


def draw_latent_noise(x: Tensor, generator: Generator) -> Tensor:
    """Standard normal noise for the latents of pictures x (N, 3, H, W)."""
    count, _, height, width = x.shape
    return torch.randn((count, CHANNELS, height // FACTOR, width // FACTOR), generator=generator)


def training_batch(pictures: Tensor, progress: float, batch: int, generator: Generator) -> Tensor:
    """Crops first (four for the price of one picture), whole pictures at the end."""
    if progress < WHOLE_FROM:
        return draw_crops(pictures, batch, generator)
    return draw_whole(pictures, max(1, batch * CROP**2 // SIDE**2), generator)


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: Tensor, chunk: int = 64) -> Tensor:
    """Posterior means (N, 4, 16, 16) of uint8 pictures (N, 3, 64, 64)."""
    return torch.cat([vae.encode(to_signed(part)).latent_dist.mean for part in torch.split(pictures, chunk)])


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: Tensor, chunk: int = 64) -> Tensor:
    """Pictures (N, 3, 64, 64), nominally in [0, 1] but not clipped, of latents at scaling_factor 1."""
    return torch.cat([cast(Tensor, vae.decode(part).sample) / 2 + 0.5 for part in torch.split(latents, chunk)])


@torch.no_grad()
def whiten(vae: AutoencoderKL, pictures: Tensor) -> None:
    """Fold a zero-phase whitening of the latents into quant_conv and post_quant_conv, in place.

    The posterior means become W (z - mean) with W = covariance^(-1/2): zero mean, unit covariance across channels, so
    scaling_factor is 1. A diagonal posterior does not survive a rotation; its variances are replaced by constants,
    their average after whitening.
    """
    chunks = [vae.encode(to_signed(part)).latent_dist for part in torch.split(pictures, 64)]
    means = torch.cat([chunk.mean for chunk in chunks]).double()
    variances = torch.cat([chunk.var for chunk in chunks]).double().mean((0, 2, 3))
    flat = means.movedim(1, 0).flatten(1)
    centre, covariance = flat.mean(1), torch.cov(flat)
    values, vectors = torch.linalg.eigh(covariance)
    w = vectors @ torch.diag(values.rsqrt()) @ vectors.T
    w_inverse = vectors @ torch.diag(values.sqrt()) @ vectors.T
    assert vae.quant_conv is not None and vae.post_quant_conv is not None
    weight, bias = vae.quant_conv.weight, vae.quant_conv.bias
    assert bias is not None and vae.post_quant_conv.bias is not None
    weight[:CHANNELS] = torch.einsum("ij,jk...->ik...", w, weight[:CHANNELS].double()).float()
    bias[:CHANNELS] = (w @ (bias[:CHANNELS].double() - centre)).float()
    weight[CHANNELS:] = 0
    bias[CHANNELS:] = ((w**2) @ variances).log().float()
    after = vae.post_quant_conv
    after.bias.add_((after.weight[..., 0, 0].double() @ centre).float())
    after.weight.copy_((after.weight[..., 0, 0].double() @ w_inverse).float()[..., None, None])


def psnr(decoded: Tensor, pictures: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of decoded [0, 1] pictures against uint8 originals."""
    error = (decoded.clamp(0, 1) - pictures.float() / 255).square().mean()
    return float(-10 * error.log10())
