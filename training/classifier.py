"""The noise-aware classifier of single scenes: what it tells apart, and its loss."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from guidance.models.classifier import NoisyClassifier
from training.scenes import COLOURS, PATTERNS, SIZES, TONES, Scene
from training.shapes import SHAPES
from training.unet import NoiseLevels
from training.vae import CHANNELS

GROUPS: dict[str, list[str]] = {
    "colour": list(COLOURS),
    "pattern": list(PATTERNS),
    "shape": list(SHAPES),
    "size": list(SIZES),
    "tone": list(TONES),
}
"""In the order of their names, as the classifier answers."""
BATCH = 64


def new_classifier() -> NoisyClassifier:
    """0.49M parameters, with weights from torch's global generator."""
    return cast(NoisyClassifier, NoisyClassifier(GROUPS, in_channels=CHANNELS))


def singles(scenes: Sequence[Scene]) -> list[int]:
    """Rows of the scenes with one thing. Of two things, "red" would have to say which one is."""
    return [row for row, scene in enumerate(scenes) if len(scene.things) == 1]


def labels(scenes: Sequence[Scene]) -> Tensor:
    """Indices (N, groups) of each single scene's class within each group."""
    rows = []
    for scene in scenes:
        [thing] = scene.things
        names = {"colour": thing.colour, "shape": thing.shape, "size": thing.size}
        names |= {"tone": scene.tone, "pattern": scene.pattern}
        rows.append([classes.index(names[group]) for group, classes in GROUPS.items()])
    return torch.tensor(rows)


def by_group(log: Tensor) -> tuple[Tensor, ...]:
    """Log probabilities (N, classes) as one (N, classes of the group) for each group."""
    return torch.split(log, [len(classes) for classes in GROUPS.values()], dim=1)


def noisy(latents: Tensor, t: Tensor, eps: Tensor, levels: NoiseLevels) -> Tensor:
    """alpha * latents + sigma * eps at network times t (N,)."""
    alpha, sigma = (level[t][:, None, None, None] for level in (levels.alpha, levels.sigma))
    return alpha * latents + sigma * eps


def classifier_loss(
    classifier: NoisyClassifier, latents: Tensor, truth: Tensor, t: Tensor, eps: Tensor, levels: NoiseLevels
) -> Tensor:
    """Mean over rows and groups of -log p(class | x), in nats, for labels `truth` (N, groups)."""
    log = classifier(noisy(latents, t, eps, levels), t)
    parts = [F.nll_loss(part, truth[:, place]) for place, part in enumerate(by_group(log))]
    return torch.stack(parts).mean()
