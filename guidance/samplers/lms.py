"""Linear multistep method (Adams-Bashforth) on the probability-flow ODE, after k-diffusion's sample_lms."""

from __future__ import annotations

from typing import ClassVar, Literal

from guidance.samplers.sigma import SigmaSampler


class LMS(SigmaSampler):
    """Fourth order in sigma, deterministic, one evaluation a step.

    y' = y + sum_j c_j d_j over the last four slopes d = (y - D) / s, c_j the integral of their Lagrange polynomial.
    """

    paper: ClassVar[str] = "Karras et al. 2022, arXiv:2206.00364, with Adams-Bashforth coefficients"
    solver: ClassVar[str] = "LMSDiscreteScheduler"
    zero_snr: ClassVar[bool] = False

    type: Literal["lms"] = "lms"
