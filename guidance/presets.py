"""Named settings as published, each with its source. Data only: a preset is what a client could have written itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Stages of a guidance spec under a name."""

    summary: str
    paper: str
    guidance: dict[str, Any]


NOTEBOOK = "fast.ai forums 2022, Dynamic classifier-free guidance (notebook)"
COSINE = {"type": "cosine", "max_weight": 7.5, "min_weight": 0.15}
WARMUP = {"type": "warmup_cosine", "max_weight": 7.5, "min_weight": 0.15, "init_weight": 0.15, "warmup_fraction": 0.1}
SMALL_COSINE = {"type": "cosine", "max_weight": 0.25, "min_weight": 0.05}

PRESETS: dict[str, Preset] = {
    # The experiments of the notebook, in its order.
    "cfg_fixed": Preset(
        "Plain CFG at 7.5: the notebook's baseline",
        NOTEBOOK,
        {"schedule": {"type": "constant", "weight": 7.5}, "combiner": {"type": "cfg"}},
    ),
    "base_norm_fixed": Preset(
        "BaseNorm at 7.5",
        NOTEBOOK,
        {"schedule": {"type": "constant", "weight": 7.5}, "combiner": {"type": "base_norm"}},
    ),
    "t_norm_fixed": Preset(
        "T-Norm at 0.15", NOTEBOOK, {"schedule": {"type": "constant", "weight": 0.15}, "combiner": {"type": "t_norm"}}
    ),
    "full_norm_fixed": Preset(
        "FullNorm at 0.15",
        NOTEBOOK,
        {"schedule": {"type": "constant", "weight": 0.15}, "combiner": {"type": "full_norm"}},
    ),
    "t_norm_cosine": Preset(
        "T-Norm, cosine from 0.25 to 0.05: the notebook's recommendation",
        NOTEBOOK,
        {"schedule": SMALL_COSINE, "combiner": {"type": "t_norm"}},
    ),
    "full_norm_cosine": Preset(
        "FullNorm, cosine from 0.25 to 0.05", NOTEBOOK, {"schedule": SMALL_COSINE, "combiner": {"type": "full_norm"}}
    ),
    "cfg_cosine": Preset("CFG, cosine from 7.5 to 0.15", NOTEBOOK, {"schedule": COSINE, "combiner": {"type": "cfg"}}),
    "cfg_warmup_cosine": Preset(
        "CFG, warm-up then cosine from 7.5 to 0.15", NOTEBOOK, {"schedule": WARMUP, "combiner": {"type": "cfg"}}
    ),
    "base_norm_cosine": Preset(
        "BaseNorm, cosine from 7.5 to 0.15", NOTEBOOK, {"schedule": COSINE, "combiner": {"type": "base_norm"}}
    ),
    "base_norm_warmup_cosine": Preset(
        "BaseNorm, warm-up then cosine from 7.5 to 0.15",
        NOTEBOOK,
        {"schedule": WARMUP, "combiner": {"type": "base_norm"}},
    ),
}
