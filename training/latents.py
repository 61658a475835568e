"""The cache of encoded scenes that the denoiser is trained on."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from tqdm import tqdm

from training.paint import render
from training.pictures import draw_scenes, to_bytes
from training.scenes import Scene
from training.stage import SHARES, save_atomically
from training.vae import encode

CHUNK = 64


def fingerprint(vae: AutoencoderKL, count: int, seed: int) -> str:
    """Digest of everything the latents depend on: the encoder's weights, the number of scenes, the seed."""
    digest = hashlib.sha256(f"{count} {seed} seen".encode())
    for name, weight in sorted(vae.state_dict().items()):
        if name.startswith(("encoder", "quant_conv")):
            digest.update(weight.numpy().tobytes())
    return digest.hexdigest()


def cached_latents(vae: AutoencoderKL, count: int, seed: int, path: Path) -> tuple[list[Scene], Tensor]:
    """Scenes of seen combinations and their latents (count, 4, 16, 16).

    From `path` if that fits the encoder, else rendered and encoded.
    """
    scenes = draw_scenes(count, seed, combinations="seen")
    key = fingerprint(vae, count, seed)
    if path.exists():
        saved = torch.load(path, weights_only=True)
        if saved["key"] == key:
            return scenes, saved["latents"]
    chunks = [scenes[start : start + CHUNK] for start in range(0, count, CHUNK)]
    with ThreadPoolExecutor(SHARES, initializer=torch.set_num_threads, initargs=(1,)) as threads:
        encoded = threads.map(lambda chunk: encode(vae, to_bytes(render(chunk))), chunks)
        parts = list(tqdm(encoded, total=len(chunks), desc="latents", mininterval=2))
    latents = torch.cat(parts)
    save_atomically({"key": key, "latents": latents}, path)
    return scenes, latents
