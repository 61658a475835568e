"""Condition dropout, which teaches one network the conditional and the unconditional prediction."""

import torch
from torch import Generator, Tensor


def drop_condition(cond: Tensor, null: Tensor, p_uncond: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Replace each row of `cond` (N, ...) by `null` (...) with probability `p_uncond`, independently per row.

    Ho & Salimans 2022, arXiv:2207.12598, algorithm 1, lines 3-4. `null` must be what the sampler will use as the null
    condition. Returns the new conditions and the mask (N,) of dropped rows; `cond` itself is left alone.
    """
    if not 0 <= p_uncond <= 1:
        raise ValueError(f"p_uncond must be in [0, 1], not {p_uncond}")
    dropped = torch.rand(len(cond), generator=generator) < p_uncond
    return torch.where(dropped.view(-1, *[1] * (cond.ndim - 1)), null, cond), dropped
