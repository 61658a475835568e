"""The autoencoder's losses and its whitening."""

import torch
from torch import Generator

from training.pictures import draw_pictures, draw_scenes
from training.vae import (
    CROP,
    decode,
    draw_crops,
    draw_latent_noise,
    encode,
    new_vae,
    psnr,
    to_signed,
    vae_loss,
    whiten,
)

PICTURES = draw_pictures(draw_scenes(24, seed=5))


def test_whitening_gives_unit_covariance_and_changes_no_reconstruction() -> None:
    torch.manual_seed(0)
    vae = new_vae().eval()
    before = decode(vae, encode(vae, PICTURES))
    whiten(vae, PICTURES)
    latents = encode(vae, PICTURES)
    flat = latents.movedim(1, 0).flatten(1)
    torch.testing.assert_close(torch.cov(flat), torch.eye(4), atol=2e-3, rtol=0)
    torch.testing.assert_close(flat.mean(1), torch.zeros(4), atol=2e-3, rtol=0)
    torch.testing.assert_close(decode(vae, latents), before, atol=1e-4, rtol=0)


def test_the_whitened_posterior_keeps_its_variance() -> None:
    torch.manual_seed(0)
    vae = new_vae().eval()
    with torch.no_grad():
        before = vae.encode(to_signed(PICTURES)).latent_dist
        flat = before.mean.double().movedim(1, 0).flatten(1)
        expected = torch.linalg.inv(torch.cov(flat)).diagonal()  # |W|^2 row sums, for equal variances of one
        assert before.var.shape == before.mean.shape
        whiten(vae, PICTURES)
        after = vae.encode(to_signed(PICTURES)).latent_dist.var
    spread = before.var.double().mean((0, 2, 3))
    low, high = float(spread.min()), float(spread.max())
    ratio = after.double().mean((0, 2, 3)) / expected
    assert bool(((ratio >= low * 0.99) & (ratio <= high * 1.01)).all())


def test_crops_are_windows_of_the_pictures() -> None:
    crops = draw_crops(PICTURES[:1], 3, Generator().manual_seed(0))
    whole = to_signed(PICTURES[0])
    windows = whole.unfold(1, CROP, 1).unfold(2, CROP, 1).movedim(0, 2)
    for crop in crops:
        assert bool((windows == crop).flatten(2).all(2).any())


def test_the_loss_is_a_function_of_its_noise() -> None:
    torch.manual_seed(0)
    vae, x = new_vae(), to_signed(PICTURES[:2])
    noises = [draw_latent_noise(x, Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    losses = [float(vae_loss(vae, x, noise).detach()) for noise in noises]
    assert losses[0] == losses[1] != losses[2]


def test_psnr_of_a_constant_error() -> None:
    pictures = torch.full((1, 3, 8, 8), 128, dtype=torch.uint8)
    assert abs(psnr(pictures.float() / 255 + 0.1, pictures) - 20) < 1e-3
