"""Energies that descend losses of the clean picture: what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from guidance.energies.base import Energy, Estimate
from guidance.losses import AnyLoss, Augmentation, ClassName, Clean

if TYPE_CHECKING:
    from torch import Tensor


class Descent(Energy):
    """Descends the weighted sum of `losses` of the denoised estimate."""

    losses: list[AnyLoss] = Field(min_length=1, max_length=4)
    augmentation: Augmentation | None = Field(None, description="of what losses read; for losses of no fixed place")

    @model_validator(mode="after")
    def _augmentable(self) -> Self:
        aligned = [loss.type for loss in self.losses if loss.aligned]
        if self.augmentation and aligned:
            raise ValueError(
                f"augmentation moves the picture, which {aligned[0]} compares place by place: leave it out"
            )
        return self

    def needed(self) -> frozenset[str]:
        return super().needed().union(*(loss.needed() for loss in self.losses))

    def classes(self) -> dict[str, Sequence[ClassName]]:
        return {f"/losses/{place}/labels": named for place, loss in enumerate(self.losses) if (named := loss.classes())}

    def pictures(self) -> dict[str, tuple[str, int]]:
        return {
            f"/losses/{place}/{field}": picture
            for place, loss in enumerate(self.losses)
            for field, picture in loss.pictures().items()
        }

    def loss(self, samples: Tensor, estimate: Estimate) -> Tensor:
        """(N,): the losses of clean samples (N, C, H, W), each the mean over its augmentations."""
        if self.augmentation is None:
            return self._sum(Clean(samples, estimate.model))
        from torch import stack

        return stack([self._augmented(sample[None], self.augmentation, estimate) for sample in samples])

    def slope(self, samples: Tensor, estimate: Estimate) -> tuple[Tensor, Tensor]:
        """The loss, 0-dim, of clean samples (N, C, H, W), and its gradient there: not through the network."""
        from torch import enable_grad
        from torch.autograd import grad

        at = samples.detach().requires_grad_()
        with enable_grad():
            loss = self.loss(at, estimate).sum()
            [gradient] = grad(loss, at)
        return loss.detach(), gradient

    def _sum(self, clean: Clean) -> Tensor:
        total: Tensor = sum(loss.weight * loss.value(clean) for loss in self.losses)  # type: ignore[assignment]
        return total

    def _augmented(self, sample: Tensor, augmentation: Augmentation, estimate: Estimate) -> Tensor:
        return self._sum(Clean(sample, estimate.model, augmentation, estimate.step.generator)).mean()
