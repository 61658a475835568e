"""S-CFG, semantic-aware classifier-free guidance. Shen et al. 2024, arXiv:2404.05384, eq. 9-14."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance.attention import Capture, captured
from guidance.combiners.cfg import CFG
from guidance.combiners.segmentation import segments, weight_map
from guidance.pictures import Picture
from guidance.protocol import Branch, Step
from guidance.stage import Preset

if TYPE_CHECKING:
    from torch import Tensor

EVERYWHERE = ("down", "mid", "up")


class SCFG(CFG):
    """CFG with a weight of its own for each part of the picture, so that all are pushed equally far.

    u + w W (c - u), where W is the foreground's mean ||c - u|| over that of the pixel's segment. Segments are where
    the network's cross-attention, completed by its self-attention, looks for each word. The pictures `segments` and
    `weight_factor` of full diagnostics show them and W.
    """

    paper: ClassVar[str] = "Shen et al. 2024, arXiv:2404.05384"
    requires: ClassVar[frozenset[str]] = frozenset({"null_condition", "attention"})
    neutral: ClassVar[str] = "weight = 1"
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "s_cfg", "S-CFG at 7.5", {"schedule": {"type": "constant", "weight": 7.5}, "combiner": {"type": "s_cfg"}}
        ),
    )

    type: Literal["s_cfg"] = "s_cfg"  # type: ignore[assignment]
    finest: Literal[1, 2, 4, 8] = Field(
        4, description="maps this many times coarser than the latent or more; the coarsest there are, if none is"
    )
    low: float = Field(0.8, ge=0, le=100, description="smallest factor on the weight")
    high: float = Field(3.0, ge=0, le=100, description="largest factor on the weight")
    cap: float = Field(15.0, gt=0, le=1000, description="largest weight times factor")
    foreground_from: Literal["uncond", "cond"] = Field("uncond", description="the published code's is uncond")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low = {self.low} must not be above high = {self.high}")
        return self

    def prepare(self, step: Step) -> Step:
        if step.weight <= 0 or step.weight == 1:
            return step
        return replace(step, cond=self._watched(step.cond), uncond=self._watched(step.uncond))

    def _watched(self, branch: Branch) -> Branch:
        return branch.edited(Capture(EVERYWHERE, ratio=self.finest))

    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        if step.weight < 0:
            return super().combined(cond, uncond, step)
        difference = cond - uncond
        branches = (("cond", step.cond), ("uncond", step.uncond))
        maps = {name: captured(branch.attention, EVERYWHERE, self.finest).maps for name, branch in branches}
        _, _, height, width = difference.shape
        found = segments(maps["cond"], maps[self.foreground_from], (height, width))
        factor = weight_map(found, difference, self.low, self.high, self.cap / step.weight)
        step.notes["weight_factor_min"], step.notes["weight_factor_max"] = factor.aminmax()
        words = step.cond.cond.words or tuple(str(place) for place in range(len(found.regions)))
        step.pictures["segments"] = Picture(found.tokens, words)
        step.pictures["weight_factor"] = Picture(factor[0, 0])
        return uncond + step.weight * factor * difference
