"""Self-attention guidance. Hong et al. 2022, arXiv:2210.00939, algorithm 1, in the constants of diffusers' pipeline."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance.attention import Capture, captured
from guidance.perturbations.base import Perturbation
from guidance.perturbations.layered import Layer
from guidance.pictures import Picture
from guidance.protocol import Branch, Guide, Step
from guidance.stage import Preset, Space

if TYPE_CHECKING:
    from torch import Tensor

REACH = 4
"""Taps on each side of the blur's middle: a 9 x 9 kernel."""


class SAG(Perturbation):
    """Push away from a prediction of the picture with its salient parts blurred: finer detail.

    Where a self-attention map receives more than 1 in all, the denoised estimate is blurred, then noised again with
    the noise that was predicted; scale (eps - eps_blurred) is added. The second evaluation follows the first. The
    picture `sag_mask` of full diagnostics shows where.
    """

    paper: ClassVar[str] = "Hong et al. 2022, arXiv:2210.00939"
    space: ClassVar[Space] = "eps"
    requires: ClassVar[frozenset[str]] = frozenset({"attention", "null_condition"})
    neutral: ClassVar[str] = "scale = 0"
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "sag",
            "SAG at 0.75 beside CFG at 7.5, as in diffusers",
            {"schedule": {"type": "constant", "weight": 7.5}, "perturbation": [{"type": "sag"}]},
        ),
    )

    type: Literal["sag"] = "sag"
    scale: float = Field(0.75, ge=-100, le=100, description="0 is off; the authors' code counts from 1 there")
    sigma: float = Field(1.0, gt=0, le=100, description="of the blur, in latent pixels")
    threshold: float = Field(1.0, ge=0, le=1000, description="attention received from which a token is salient")
    base: Literal["cond", "uncond"] = Field("uncond", description="the prediction whose picture is blurred")
    layers: tuple[Layer, ...] = Field(("mid",), min_length=1, max_length=1, description="whose attention is looked at")

    @property
    def branches(self) -> frozenset[str]:
        return frozenset({self.base, self.type})

    def prepare(self, step: Step) -> Step:
        watched = self._base(step).edited(Capture(self.layers))
        return replace(step, cond=watched) if self.base == "cond" else replace(step, uncond=watched)

    def _base(self, step: Step) -> Branch:
        return step.cond if self.base == "cond" else step.uncond

    def push(self, step: Step) -> Guide:
        base, level = self._base(step), step.level
        [eps] = yield [base]
        denoised = (base.x - level.sigma * eps) / level.alpha
        salient = mask(captured(base.attention, self.layers).maps[0].self_map, self.threshold, denoised)
        step.pictures["sag_mask"] = Picture(salient[0, 0], ("kept", "blurred"))
        degraded = denoised + salient * (blurred(denoised, self.sigma) - denoised)
        [weak] = yield [Branch(self.type, level.alpha * degraded + level.sigma * eps, level, base.cond)]
        return self.scale * (eps - weak)


def mask(self_map: Tensor, threshold: float, like: Tensor) -> Tensor:
    """Ones (1, 1, H, W) where a token of `self_map` (queries, keys) receives more than `threshold`, zeros elsewhere."""
    from torch.nn.functional import interpolate

    _, _, height, width = like.shape
    ratio = round((height * width / len(self_map)) ** 0.5)
    salient = (self_map.sum(0) > threshold).to(like.dtype).view(1, 1, height // ratio, width // ratio)
    return interpolate(salient, size=(height, width), mode="nearest")


def blurred(image: Tensor, sigma: float) -> Tensor:
    """(N, C, H, W) under a Gaussian of at most 9 x 9 taps, edges reflected."""
    from torch import arange, exp
    from torch.nn.functional import conv2d, pad

    reach = min(REACH, min(image.shape[2:]) - 1)
    taps = exp(-0.5 * (arange(-reach, reach + 1, device=image.device, dtype=image.dtype) / sigma) ** 2)
    taps = taps / taps.sum()
    kernel = (taps[:, None] * taps).expand(image.shape[1], 1, len(taps), len(taps))
    return conv2d(pad(image, (reach,) * 4, mode="reflect"), kernel, groups=image.shape[1])
