"""Diffusion posterior sampling. Chung et al. 2022, arXiv:2209.14687, algorithm 1; FreeDoM, Yu et al. 2023, eq. 12."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from guidance.energies.base import Estimate
from guidance.energies.shift import Shift
from guidance.stage import Preset

if TYPE_CHECKING:
    from torch import Tensor

STAND_IN = {"type": "colour", "target": "#e03131"}
"""The loss of a preset, to be replaced by one's own: papers publish rules and steps, not what to wish for."""


class DPS(Shift):
    """Move the picture after each step down the gradient of a loss of what it is becoming.

    x' - rho grad_x loss(D(x)), back through the network: DPS, and FreeDoM, which add up losses and repeat steps.
    """

    paper: ClassVar[str] = "Chung et al. 2022, arXiv:2209.14687; Yu et al. 2023 (FreeDoM), arXiv:2303.09833"
    neutral: ClassVar[str] = "scale = 0"
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "dps",
            "DPS with its constant step of 1; replace the loss by your own",
            {"energy": [{"type": "dps", "rule": "constant", "scale": 1.0, "losses": [STAND_IN]}]},
            "Chung et al. 2022, arXiv:2209.14687",
        ),
        Preset(
            "freedom",
            "FreeDoM beside CFG at 7.5, steps of the middle taken 3 times; replace the loss by your own",
            {
                "schedule": {"type": "constant", "weight": 7.5},
                "energy": [
                    {"type": "dps", "rule": "guidance", "scale": 0.2, "start": 0.3, "stop": 0.7, "losses": [STAND_IN]}
                ],
                "travel": {"type": "time_travel", "low": 0.3, "high": 0.6, "repeats": 3},
            },
            "Yu et al. 2023, arXiv:2303.09833, as in its Stable Diffusion code",
        ),
        Preset(
            "shen",
            "DPS with random augmentation, Polyak steps and time travel; replace the loss by your own",
            {
                "energy": [
                    {
                        "type": "dps",
                        "rule": "polyak",
                        "scale": 2.0,
                        "augmentation": {"copies": 20},
                        "losses": [STAND_IN],
                    }
                ],
                "travel": {"type": "time_travel", "low": 0.3, "high": 0.8, "repeats": 10},
            },
            "Shen et al. 2024, arXiv:2403.12404",
        ),
    )

    type: Literal["dps"] = "dps"

    def energy(self, denoised: Tensor, estimate: Estimate) -> Tensor:
        return self.loss(denoised, estimate).sum()
