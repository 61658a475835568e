"""A small noise-aware classifier: p(class | x_t) for latents at any noise level of the model beside it.

For classifier guidance (Dhariwal & Nichol 2021, arXiv:2105.05233): half a UNet, as theirs, with mean pooling in place of
attention, so that it is cheap. Nothing in it is rough (SiLU, averages), since only its gradients are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

FOLDER = "classifier"
"""Its place in a pipeline folder."""


class NoisyClassifier(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers is untyped here
    """Log probabilities of the classes of each of `groups`, from noisy latents x and the network time t.

    A group's classes exclude each other ("red", "green"); the groups are independent ("red", "star"). Groups count in
    the order of their names, since a config file does not keep another.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        groups: Mapping[str, Sequence[str]],
        in_channels: int = 4,
        block_out_channels: Sequence[int] = (32, 64, 96),
        time_channels: int = 128,
        norm_num_groups: int = 8,
    ) -> None:
        super().__init__()
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ValueError(f"groups = {groups}: every class has a name of its own")
        first, last = block_out_channels[0], block_out_channels[-1]
        self.time = Timesteps(first, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(first, time_channels)
        self.conv_in = nn.Conv2d(in_channels, first, 3, padding=1)
        steps = [(first, first), *pairwise(block_out_channels), (last, last)]
        self.blocks = nn.ModuleList(
            ResnetBlock2D(
                in_channels=before,
                out_channels=after,
                temb_channels=time_channels,
                groups=norm_num_groups,
                time_embedding_norm="scale_shift",
                down=before != after,
            )
            for before, after in steps
        )
        self.norm_out = nn.GroupNorm(norm_num_groups, last)
        self.heads = nn.Linear(last, len(self.classes))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return tuple(name for _, classes in sorted(self.config.groups.items()) for name in classes)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Log probabilities (N, classes) of x = alpha x0 + sigma eps (N, C, H, W) at network times t (N,).

        Those of a group add up to one.
        """
        embedding = self.time_embedding(self.time(t).to(x.dtype))
        hidden = self.conv_in(x)
        for block in self.blocks:
            hidden = block(hidden, embedding)
        logits = self.heads(nn.functional.silu(self.norm_out(hidden)).mean((2, 3)))
        sizes = [len(classes) for _, classes in sorted(self.config.groups.items())]
        return torch.cat([part.log_softmax(1) for part in logits.split(sizes, dim=1)], dim=1)
