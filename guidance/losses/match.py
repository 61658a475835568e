"""A reference picture under an operator. Chung et al. 2022 (DPS), arXiv:2209.14687, eq. 16."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance.losses.base import Clean, Loss
from guidance.losses.operators import blurred, shrunk
from guidance.picture import Picture, pixels

if TYPE_CHECKING:
    from torch import Tensor


class Match(Loss):
    """How far the picture, seen through an operator, is from a reference: inpainting, super-resolution, deblurring.

    || A(x0) - y ||, pixels in [-1, 1], or half its square. A: the identity, a mask, the mean over blocks, or a blur.
    """

    paper: ClassVar[str] = "Chung et al. 2022, arXiv:2209.14687"
    aligned: ClassVar[bool] = True

    type: Literal["match"] = "match"
    image: Picture = Field(description="y: as large as the image; with downscale, smaller by the factor")
    operator: Literal["identity", "mask", "downscale", "blur"] = "identity"
    mask: Picture | None = Field(None, description="of the operator mask: white where the reference counts")
    factor: int = Field(4, ge=2, le=64, description="of the operator downscale: pixels of a block's side")
    sigma: float = Field(2.0, gt=0, le=100, description="of the operator blur, in pixels")
    measure: Literal["norm", "square"] = Field("norm", description="the distance, or half its square")

    @model_validator(mode="after")
    def _mask_where_it_is_used(self) -> Self:
        if (self.operator == "mask") != (self.mask is not None):
            missing = "needs a mask" if self.mask is None else "takes no mask"
            raise ValueError(f"operator = {self.operator} {missing}")
        return self

    def pictures(self) -> dict[str, tuple[str, int]]:
        found = {"image": (self.image, self.factor if self.operator == "downscale" else 1)}
        return found if self.mask is None else found | {"mask": (self.mask, 1)}

    def value(self, clean: Clean) -> Tensor:
        residual = (self.observed(clean.pixels) - self.observed_reference(clean.pixels)).flatten(1)
        return residual.norm(dim=1) if self.measure == "norm" else residual.square().sum(1) / 2

    def observed(self, image: Tensor) -> Tensor:
        """A(image): what of (N, 3, H, W) pixels can be compared with the reference."""
        if self.operator == "downscale":
            return shrunk(image, self.factor)
        if self.operator == "blur":
            return blurred(image, self.sigma)
        return image * self._visible(image)

    def observed_reference(self, like: Tensor) -> Tensor:
        """y (1, 3, H, W), on the device of `like`. It is given as observed: only the mask is put on it."""
        return pixels(self.image).to(like) * self._visible(like)

    def _visible(self, like: Tensor) -> Tensor:
        """Ones, or (1, 1, H, W) between 0 and 1."""
        if self.mask is None:
            return like.new_ones(())
        return (pixels(self.mask).mean(1, keepdim=True).to(like) + 1) / 2
