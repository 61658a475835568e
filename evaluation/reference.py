"""Real pictures: what generated ones are compared with, and the two ends of the scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.features import Extractor
from evaluation.fid import Gaussian
from evaluation.questions import Question
from evaluation.samples import Samples, pictures
from evaluation.shelf import Shelf
from evaluation.source import code_digest
from guidance.models.base import Model, to_bytes
from training.paint import render
from training.pictures import draw_scenes
from training.pictures import to_bytes as rounded
from training.scenes import Combinations, Scene

SEED, NOISE_SEED = 20_261_104, 20_261_105
"""No model is trained on scenes of this seed, and no captions are drawn from them."""
AT_ONCE = 100
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Reference:
    """Features (M, d) of real pictures, and the Gaussian fitted to them."""

    features: NDArray[np.float64]
    gaussian: Gaussian


def reference(
    count: int, pair_share: float, combinations: Combinations, extractor: Extractor, shelf: Shelf
) -> Reference:
    """Of `count` scenes drawn as the captions' are, from another seed."""
    said = [code_digest(["training.paint", "training.pictures"]), count, pair_share, combinations, SEED]
    held = shelf.kept(
        "reference", said, lambda: {"pixels": rendered(draw_scenes(count, SEED, pair_share, combinations))}
    )
    features = extractor.features(held["pixels"]).vectors
    return Reference(features, Gaussian.of(features))


def rendered(scenes: Sequence[Scene]) -> Pixels:
    """Pictures (N, H, W, 3) of scenes."""
    parts = [scenes[start : start + AT_ONCE] for start in range(0, len(scenes), AT_ONCE)]
    drawn = torch.cat([rounded(render(part)) for part in parts])
    return drawn.permute(0, 2, 3, 1).contiguous().numpy()


def ends(asked: Sequence[Question], model: Model, weights: str, shelf: Shelf) -> dict[str, Samples]:
    """What a perfect model would draw, what the autoencoder leaves of it, and noise: where the scales begin and end.

    `weights` names those of the model's autoencoder.
    """
    scenes = [question.scene for question in asked]
    code = code_digest(["training.paint", "training.pictures"])
    real = shelf.kept("real", [code, [repr(scene) for scene in scenes]], lambda: {"pixels": rendered(scenes)})["pixels"]
    through = shelf.kept("through", [weights, real], lambda: {"pixels": _through(model, real)})["pixels"]
    noise = np.random.default_rng(NOISE_SEED).integers(0, 256, real.shape, np.uint8)
    return {
        "real": Samples.of_pixels(real),
        "autoencoder": Samples.of_pixels(through),
        "noise": Samples.of_pixels(noise),
    }


@torch.no_grad()
def _through(model: Model, pixels: Pixels) -> Pixels:
    """Encoded and decoded."""
    shown = [picture[None] * 2 - 1 for picture in pictures(pixels)]
    return np.stack([to_bytes(model.decode(model.encode_picture(picture))) for picture in shown])
