"""Named settings as published: those that methods list themselves, and the experiments that combine several."""

from __future__ import annotations

from dataclasses import replace

from guidance.registry import UNIONS, members
from guidance.stage import Preset

NOTEBOOK = "fast.ai forums 2022, Dynamic classifier-free guidance (notebook)"
COSINE = {"type": "cosine", "max_weight": 7.5, "min_weight": 0.15}
WARMUP = {"type": "warmup_cosine", "max_weight": 7.5, "min_weight": 0.15, "init_weight": 0.15, "warmup_fraction": 0.1}
SMALL_COSINE = {"type": "cosine", "max_weight": 0.25, "min_weight": 0.05}

EXPERIMENTS = (
    Preset(
        "cfg_fixed",
        "Plain CFG at 7.5: the notebook's baseline",
        {"schedule": {"type": "constant", "weight": 7.5}, "combiner": {"type": "cfg"}},
        NOTEBOOK,
    ),
    Preset(
        "base_norm_fixed",
        "BaseNorm at 7.5",
        {"schedule": {"type": "constant", "weight": 7.5}, "combiner": {"type": "base_norm"}},
        NOTEBOOK,
    ),
    Preset(
        "t_norm_fixed",
        "T-Norm at 0.15",
        {"schedule": {"type": "constant", "weight": 0.15}, "combiner": {"type": "t_norm"}},
        NOTEBOOK,
    ),
    Preset(
        "full_norm_fixed",
        "FullNorm at 0.15",
        {"schedule": {"type": "constant", "weight": 0.15}, "combiner": {"type": "full_norm"}},
        NOTEBOOK,
    ),
    Preset(
        "t_norm_cosine",
        "T-Norm, cosine from 0.25 to 0.05: the notebook's recommendation",
        {"schedule": SMALL_COSINE, "combiner": {"type": "t_norm"}},
        NOTEBOOK,
    ),
    Preset(
        "full_norm_cosine",
        "FullNorm, cosine from 0.25 to 0.05",
        {"schedule": SMALL_COSINE, "combiner": {"type": "full_norm"}},
        NOTEBOOK,
    ),
    Preset("cfg_cosine", "CFG, cosine from 7.5 to 0.15", {"schedule": COSINE, "combiner": {"type": "cfg"}}, NOTEBOOK),
    Preset(
        "cfg_warmup_cosine",
        "CFG, warm-up then cosine from 7.5 to 0.15",
        {"schedule": WARMUP, "combiner": {"type": "cfg"}},
        NOTEBOOK,
    ),
    Preset(
        "base_norm_cosine",
        "BaseNorm, cosine from 7.5 to 0.15",
        {"schedule": COSINE, "combiner": {"type": "base_norm"}},
        NOTEBOOK,
    ),
    Preset(
        "base_norm_warmup_cosine",
        "BaseNorm, warm-up then cosine from 7.5 to 0.15",
        {"schedule": WARMUP, "combiner": {"type": "base_norm"}},
        NOTEBOOK,
    ),
)
"""The notebook's, in its order."""


def _gathered() -> dict[str, Preset]:
    found = {preset.name: preset for preset in EXPERIMENTS}
    for method in (method for stage in UNIONS for method in members(stage)):
        for preset in method.presets:
            assert preset.name not in found, f"two presets are called {preset.name}"
            found[preset.name] = replace(preset, paper=preset.paper or method.paper)
    return found


PRESETS: dict[str, Preset] = _gathered()
