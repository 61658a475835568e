"""Batched sampling with plain classifier-free guidance, for previews and measurements."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Generator, Tensor
from transformers import CLIPTokenizer

from training.captions import EMPTY
from training.stage import SHARES
from training.text import token_ids
from training.unet import LATENT_SIDE, Denoiser, new_scheduler
from training.vae import CHANNELS

STEPS = 30
CHUNK = 16  # rows; chunks go to the threads, one core each


def draw_noise(count: int, seed: int) -> Tensor:
    """Initial noise (count, 4, 16, 16), one generator per row: a row's noise does not depend on the others."""
    shape = (CHANNELS, LATENT_SIDE, LATENT_SIDE)
    return torch.stack([torch.randn(shape, generator=Generator().manual_seed(seed + row)) for row in range(count)])


def sample(
    denoiser: Denoiser, tokenizer: CLIPTokenizer, captions: Sequence[str], noise: Tensor, w: float, steps: int = STEPS
) -> Tensor:
    """Latents (N, 4, 16, 16) by DDIM with eta = 0, trailing spacing, guidance weight w (w = 1: none)."""
    null = token_ids(tokenizer, [EMPTY])

    def one(ids: Tensor, part: Tensor) -> Tensor:
        return sample_chunk(denoiser, ids, null, part, w, steps)

    with ThreadPoolExecutor(SHARES, initializer=torch.set_num_threads, initargs=(1,)) as threads:
        chunks = torch.split(token_ids(tokenizer, captions), CHUNK), torch.split(noise, CHUNK)
        return torch.cat(list(threads.map(one, *chunks)))


@torch.no_grad()
def sample_chunk(denoiser: Denoiser, ids: Tensor, null: Tensor, noise: Tensor, w: float, steps: int) -> Tensor:
    """As `sample`, for captions given as ids (N, L) and the null caption (1, L), in one batch."""
    scheduler = new_scheduler()
    scheduler.set_timesteps(steps)
    count = len(noise)
    cond = denoiser.text_encoder(ids).last_hidden_state
    both = torch.cat([cond, denoiser.text_encoder(null).last_hidden_state.expand(count, -1, -1)])
    x: Tensor = noise * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        if w == 1:
            eps = denoiser.unet(x, t, cond).sample
        else:
            eps_cond, eps_null = denoiser.unet(torch.cat([x, x]), t, both).sample.chunk(2)
            eps = eps_null + w * (eps_cond - eps_null)  # Ho & Salimans 2022, eq. 6; w here = the paper's w + 1
        x = scheduler.step(eps, t, x).prev_sample
    return x
