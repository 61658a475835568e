"""Scenes in numbers, and their pictures as bytes."""

import torch
from torch import Generator, Tensor

from training.scenes import PAIR_SHARE, Scene, draw_scene, render


def draw_scenes(count: int, seed: int, pair_share: float = PAIR_SHARE) -> list[Scene]:
    """`count` scenes, a function of the seed alone."""
    generator = Generator().manual_seed(seed)
    return [draw_scene(generator, pair_share) for _ in range(count)]


def draw_pictures(count: int, seed: int, pair_share: float = PAIR_SHARE) -> Tensor:
    """Pictures (count, 3, 64, 64) uint8 of `draw_scenes(count, seed, pair_share)`."""
    scenes = draw_scenes(count, seed, pair_share)
    return torch.cat([to_bytes(render(scenes[start : start + 128])) for start in range(0, count, 128)])


def to_bytes(pictures: Tensor) -> Tensor:
    """[0, 1] to uint8, rounded and clipped."""
    return (pictures * 255).round().clamp(0, 255).byte()
