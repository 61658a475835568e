"""How the classifier of clean pictures learns: what it is told of a scene, how pictures are worn, and its loss."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from training.features import FeatureClassifier
from training.scenes import COLOURS, PATTERNS, SIDE, TONES, Scene
from training.shapes import SHAPES

LAYOUTS = ("small", "large", "beside", "stacked")
"""One thing of either size, or two."""
GROUPS: dict[str, list[str]] = {
    "colour": list(COLOURS),
    "layout": list(LAYOUTS),
    "other colour": ["none", *COLOURS],
    "other shape": ["none", *SHAPES],
    "pattern": list(PATTERNS),
    "shape": list(SHAPES),
    "tone": list(TONES),
}
"""In the order of their names, as the classifier answers. Of two things the first is the upper or the left one."""
MEASURES = ("x", "y", "radius", "blur", "noise")
"""Of the first thing, as shares of the side; and how worn the picture is."""
BATCH = 64
BLUR, NOISE, SHIFT = 1.0, 0.1, 2  # most of it: share of the smoothed picture, deviation, px


def new_features() -> FeatureClassifier:
    """0.17M parameters, with weights from torch's global generator."""
    return cast(FeatureClassifier, FeatureClassifier(GROUPS, MEASURES))


def told(scenes: Sequence[Scene]) -> tuple[Tensor, Tensor]:
    """Indices (N, groups) of each scene's classes, and x, y and radius (N, 3) of its first thing."""
    rows, places = [], []
    for scene in scenes:
        first, *others = sorted(scene.things, key=lambda thing: thing.x + thing.y)
        stacked = scene.relation in ("above", "below")
        names = {"colour": first.colour, "shape": first.shape, "tone": scene.tone, "pattern": scene.pattern}
        names["layout"] = first.size if not others else "stacked" if stacked else "beside"
        names |= {"other colour": "none", "other shape": "none"}
        for other in others:
            names |= {"other colour": other.colour, "other shape": other.shape}
        rows.append([classes.index(names[group]) for group, classes in GROUPS.items()])
        places.append((first.x / SIDE, first.y / SIDE, first.radius / SIDE))
    return torch.tensor(rows), torch.tensor(places)


def worn(pictures: Tensor, places: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Pictures (N, 3, 64, 64) in [0, 1], half of them shifted, smoothed and with noise, and their measures (N, 5)."""
    count = len(pictures)
    half = (torch.rand(count, generator=generator) < 0.5).float()
    blur, noise = (most * half * torch.rand(count, generator=generator) for most in (BLUR, NOISE))
    dy, dx = torch.randint(-SHIFT, SHIFT + 1, (2,), generator=generator).tolist()
    padded = F.pad(pictures, (SHIFT,) * 4, mode="replicate")
    moved = padded[..., SHIFT - dy : SHIFT - dy + SIDE, SHIFT - dx : SHIFT - dx + SIDE]
    smooth = F.avg_pool2d(F.pad(moved, (1,) * 4, mode="replicate"), 3, stride=1)
    mixed = torch.lerp(moved, smooth, blur[:, None, None, None])
    out = mixed + noise[:, None, None, None] * torch.randn(mixed.shape, generator=generator)
    at = places + torch.tensor([dx / SIDE, dy / SIDE, 0.0])
    return out, torch.cat([at, blur[:, None], 10 * noise[:, None]], dim=1)


def looking_loss(classifier: FeatureClassifier, pictures: Tensor, truth: Tensor, measures: Tensor) -> Tensor:
    """Mean over the groups of -log p(class | picture), in nats, plus the measures' squared error."""
    log, gauged = classifier.read(classifier.features(pictures))
    parts = [F.nll_loss(part, truth[:, place]) for place, part in enumerate(classifier.by_group(log).values())]
    return torch.stack(parts).mean() + F.mse_loss(gauged, measures)
