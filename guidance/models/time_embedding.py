"""A time embedding that gets noise in the rows that ask for it. What is asked travels with the forward."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import TimestepEmbedding
from torch import Tensor

from guidance.protocol import TimeNoise


class RowTimeEmbedding(TimestepEmbedding):  # type: ignore[misc]
    """The embedding as trained, then noise row by row: `condition`, of no other use in these models, is who asks."""

    def forward(self, sample: Tensor, condition: Sequence[TimeNoise | None] | None = None) -> Tensor:
        embedding: Tensor = super().forward(sample)
        asked = [(row, noise) for row, noise in enumerate(condition or ()) if noise is not None]
        if not asked:
            return embedding
        embedding = embedding.clone()
        for row, noise in asked:
            embedding[row] = noised(embedding[row], noise)
        return embedding


def noised(embedding: Tensor, noise: TimeNoise) -> Tensor:
    """One row (features,) of the embedding with its noise: the same on every device and in every batch."""
    drawn = torch.randn(len(embedding), generator=torch.Generator().manual_seed(noise.seed)).to(embedding.device)
    scale = noise.scale * (embedding.float().std() if noise.relative else 1.0)
    return (embedding + scale * drawn).to(embedding.dtype)


def install(network: UNet2DConditionModel) -> None:
    """Let the rows of a batch ask for noise on the embedding of their time."""
    network.time_embedding.__class__ = RowTimeEmbedding
