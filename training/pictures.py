"""Scenes in numbers, and their pictures as bytes."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from training.paint import render
from training.scenes import PAIR_SHARE, Combinations, Scene, draw_scene


def draw_scenes(
    count: int, seed: int, pair_share: float = PAIR_SHARE, combinations: Combinations = "all"
) -> list[Scene]:
    """`count` scenes, a function of the arguments alone."""
    generator = Generator().manual_seed(seed)
    return [draw_scene(generator, pair_share, combinations) for _ in range(count)]


def draw_pictures(scenes: Sequence[Scene]) -> Tensor:
    """Pictures (N, 3, 64, 64) uint8 of scenes."""
    return torch.cat([to_bytes(render(scenes[start : start + 128])) for start in range(0, len(scenes), 128)])


def to_bytes(pictures: Tensor) -> Tensor:
    """[0, 1] to uint8, rounded and clipped."""
    return (pictures * 255).round().clamp(0, 255).byte()
