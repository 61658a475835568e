"""A colour target for the mean colour. The energy of a colour statistic, after Yu et al. 2023, arXiv:2303.09833."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance.losses.base import Clean, Loss

if TYPE_CHECKING:
    from torch import Tensor


class Colour(Loss):
    """How far the mean colour of the picture, or of a rectangle in it, is from the one that is wanted.

    sqrt(n) || mean over the rectangle's n pixels - target ||, colours in [-1, 1] a channel: the distance to the nearest
    picture that has this mean, so that its steps are as long as those of `match`.
    """

    paper: ClassVar[str] = "a statistic of the clean picture, after Yu et al. 2023, arXiv:2303.09833"

    type: Literal["colour"] = "colour"
    target: str = Field("#e03131", pattern="^#[0-9a-fA-F]{6}$", description="red, green and blue, in hexadecimal")
    left: float = Field(0.0, ge=0, le=1, description="share of the width where the rectangle begins")
    top: float = Field(0.0, ge=0, le=1, description="share of the height where it begins")
    right: float = Field(1.0, ge=0, le=1, description="share of the width where it ends")
    bottom: float = Field(1.0, ge=0, le=1, description="share of the height where it ends")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for low, high in (("left", "right"), ("top", "bottom")):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} = {getattr(self, low)} must be below {high} = {getattr(self, high)}")
        return self

    @property
    def rgb(self) -> list[float]:
        """Three numbers in [-1, 1]."""
        return [int(self.target[place : place + 2], 16) / 127.5 - 1 for place in (1, 3, 5)]

    def value(self, clean: Clean) -> Tensor:
        height, width = clean.pixels.shape[2:]
        rows, columns = _cells(self.top, self.bottom, height), _cells(self.left, self.right, width)
        region = clean.pixels[:, :, rows, columns].flatten(2)
        away = region.mean(2) - region.new_tensor(self.rgb)
        distance: Tensor = region.shape[2] ** 0.5 * away.norm(dim=1)
        return distance


def _cells(low: float, high: float, count: int) -> slice:
    """Whole pixels between two shares of a side; at least one."""
    first = min(round(low * count), count - 1)
    return slice(first, max(round(high * count), first + 1))
