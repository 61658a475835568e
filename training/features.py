"""A small classifier of clean pictures, whose features stand in for Inception's in FID, precision and the like.

Its features know shapes, not photographs: what this model's pictures differ in. It is trained on pictures with a little
shift, blur and noise, and asked how much of them (`measures`), so that features change gradually as pictures get worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

FOLDER = "features"
"""Its place in a pipeline folder."""


class FeatureClassifier(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers is untyped here
    """Features and log probabilities of pictures (N, 3, 64, 64) in [0, 1].

    The classes of one of `groups` exclude each other. Groups count in the order of their names, since a config file
    does not keep another. Group norms only: a picture's features do not depend on the others of its batch.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        groups: Mapping[str, Sequence[str]],
        measures: Sequence[str] = (),
        side: int = 64,
        block_out_channels: Sequence[int] = (16, 32, 64, 64),
        feature_count: int = 80,
        norm_num_groups: int = 8,
    ) -> None:
        super().__init__()
        first, last = block_out_channels[0], block_out_channels[-1]
        parts = [*convolution(3, first, norm_num_groups), nn.AvgPool2d(2)]
        for before, after in pairwise(block_out_channels):
            parts += [*convolution(before, after, norm_num_groups), nn.AvgPool2d(2)]
        self.trunk = nn.Sequential(*parts, *convolution(last, last, norm_num_groups))
        left = side // 2 ** len(block_out_channels)
        self.project = nn.Linear(last * left**2, feature_count)
        self.heads = nn.Linear(feature_count, len(self.classes))
        self.gauges = nn.Linear(feature_count, len(measures))

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Names of each group's classes, in the order of the outputs."""
        return {name: tuple(classes) for name, classes in sorted(self.config.groups.items())}

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of all outputs, in order: "colour/red"."""
        return tuple(f"{group}/{name}" for group, names in self.groups.items() for name in names)

    def features(self, pictures: Tensor) -> Tensor:
        """Features (N, feature_count) of pictures (N, 3, side, side) in [0, 1]; linear, so neither bounded nor cut."""
        projected: Tensor = self.project(self.trunk(2 * pictures - 1).flatten(1))
        return projected

    def read(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Log probabilities (N, classes), each group adding up to one, and measures (N, measures), of features."""
        hidden = nn.functional.silu(features)
        parts = torch.split(self.heads(hidden), [len(classes) for classes in self.groups.values()], dim=1)
        return torch.cat([part.log_softmax(1) for part in parts], dim=1), self.gauges(hidden)

    def forward(self, pictures: Tensor) -> Tensor:
        """Log probabilities (N, classes) of pictures (N, 3, side, side) in [0, 1]."""
        return self.read(self.features(pictures))[0]

    def by_group(self, log: Tensor) -> dict[str, Tensor]:
        """Log probabilities (N, classes) as one (N, classes of the group) for each group."""
        parts = torch.split(log, [len(classes) for classes in self.groups.values()], dim=1)
        return dict(zip(self.groups, parts, strict=True))


def convolution(before: int, after: int, groups: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(groups, after), nn.SiLU()]
