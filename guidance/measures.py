"""Numbers of several evaluations at once, on the device: the same few kernels for all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guidance.noise import Level
from guidance.prediction import Prediction

if TYPE_CHECKING:
    from torch import Tensor

MEASURED = (
    "cond_norm",
    "uncond_norm",
    "guided_norm",
    "difference_norm",
    "dot",
    "denoised_min",
    "denoised_max",
    "denoised_std",
    "clipped_fraction",
)
"""The columns of `measured`, in order."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one evaluation saw and came to; a branch that was not asked is None."""

    cond: Prediction | None
    uncond: Prediction | None
    guided: Prediction


def measured(evaluations: Sequence[Evaluation], data_bound: float) -> Tensor:
    """(evaluations, MEASURED), NaN where a branch is missing. A row has the same bits whatever the others are."""
    import torch

    guided = _stacked([one.guided for one in evaluations])
    cond, uncond = (
        _stacked([_given(getattr(one, name), one.guided) for one in evaluations]).eps.flatten(1)
        for name in ("cond", "uncond")
    )
    denoised = guided.denoised.flatten(1)
    centred = denoised - denoised.mean(1, keepdim=True)
    low, high = denoised.aminmax(dim=1)
    columns = [
        cond.norm(dim=1),
        uncond.norm(dim=1),
        guided.eps.flatten(1).norm(dim=1),
        (cond - uncond).norm(dim=1),
        (cond * uncond).sum(1),
        low,
        high,
        centred.norm(dim=1) / math.sqrt(denoised.shape[1] - 1),  # torch's std has other bits for one row alone
        (denoised.abs() > data_bound).to(denoised.dtype).mean(1),
    ]
    return torch.stack(columns, 1)


def _given(prediction: Prediction | None, like: Prediction) -> Prediction:
    """The prediction, or one that says nothing: not a number."""
    return prediction or Prediction(
        like.x, like.level, like.value.new_full((), math.nan).expand_as(like.value), like.kind
    )


def _stacked(predictions: Sequence[Prediction]) -> Prediction:
    """All as one, each at its own level; they are of one kind."""
    import torch

    value = torch.cat([one.value for one in predictions])

    def column(numbers: list[float]) -> Tensor:
        return torch.tensor(numbers, dtype=value.dtype).to(value.device, non_blocking=True).view(-1, 1, 1, 1)

    alpha, sigma = column([one.level.alpha for one in predictions]), column([one.level.sigma for one in predictions])
    level = Level(0.0, alpha, sigma)  # type: ignore[arg-type]
    return Prediction(torch.cat([one.x for one in predictions]), level, value, predictions[0].kind)
