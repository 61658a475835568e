"""Random requests over every registered method; a new method has its defaults until it has ranges here."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from pydantic import ValidationError

from benchmarks.workloads import CAPTIONS, Body
from guidance.info import ModelInfo
from guidance.registry import members
from guidance.stage import Stage
from jobs.request import GenerationRequest, RequestProblems, resolve

STEPS = (3, 8)

RANGES: dict[str, Callable[[Random], Body]] = {
    "constant": lambda r: {"weight": r.choice([0, 1, r.uniform(-1, 10)])},
    "cosine": lambda r: {"max_weight": r.uniform(1, 10), "min_weight": r.uniform(0, 1)},
    "interval": lambda r: {"weight": r.uniform(1, 10), "sigma_low": r.uniform(0, 1), "sigma_high": r.uniform(1, 20)},
    "linear": lambda r: {"weight": r.uniform(1, 5), "grid": r.choice(["endpoints", "midpoint", "left"])},
    "warmup_cosine": lambda r: {"max_weight": r.uniform(1, 10), "warmup_fraction": r.uniform(0, 0.9)},
    "cads": lambda r: {"noise_scale": r.uniform(0, 1), "mixing": r.random(), "apply_to": r.choice(["cond", "both"])},
    "characteristic": lambda r: {"max_iterations": r.randint(2, 4), "basis": r.choice([None, 0, 1])},
    "mimic_threshold": lambda r: {"weight": r.uniform(1, 7), "per_channel": r.choice([True, False])},
    "momentum": lambda r: {"strength": r.random(), "decay": r.uniform(0, 0.9)},
    "renorm": lambda r: {"dims": r.choice(["sample", "channels"]), "mode": r.choice(["match", "cap"])},
    "tag": lambda r: {"tangential": r.uniform(1, 1.3)},
    "rescale": lambda r: {"phi": r.random(), "space": r.choice(["model", "v", "denoised"])},
    "static_threshold": lambda r: {"bound": r.uniform(1, 4), "latent_ok": True},
    "dynamic_threshold": lambda r: {"percentile": r.uniform(0.9, 1), "bound": r.uniform(0.5, 4), "latent_ok": True},
    "ho_salimans": lambda r: {"v": r.random()},
    "ddim": lambda r: {"eta": r.choice([0, r.random()])},
}
"""Parameters by method; a method without an entry keeps its defaults."""


def random_request(random: Random, info: ModelInfo, steps: tuple[int, int] = STEPS) -> GenerationRequest:
    """A resolved request that `info` can run. Drawn anew while stages contradict each other."""
    while True:
        try:
            return resolve(GenerationRequest.model_validate(_body(random, info, steps)), info)
        except (ValidationError, RequestProblems):
            continue


def _body(random: Random, info: ModelInfo, steps: tuple[int, int]) -> Body:
    body: Body = {
        "model": info.id,
        "seed": random.randrange(2**32),
        "sampler": _sampler(random, steps),
        "guidance": _guidance(random),
        "diagnostics": random.choice(["off", "summary", "full"]),
    }
    if info.condition == "label":
        return body | {"label": random.randrange(len(info.labels or "0"))}
    negative = random.choice(["", "", random.choice(CAPTIONS)])
    return body | {"prompt": random.choice(CAPTIONS), "negative_prompt": negative}


def _sampler(random: Random, steps: tuple[int, int]) -> Body:
    spacing = random.choice([None, "leading", "trailing", "linspace", "karras"])
    return _drawn(random, random.choice(members("sampler"))) | {"steps": random.randint(*steps), "spacing": spacing}


def _guidance(random: Random) -> Body:
    guidance: dict[str, Any] = {"combiner": _drawn(random, random.choice(members("combiner")))}
    if random.random() < 0.75:  # else the combiner's own
        guidance["schedule"] = _drawn(random, random.choice(members("schedule")))
    for stage in ("condition", "correction"):
        kinds = members(stage)
        chosen = random.sample(kinds, random.randint(0, min(2, len(kinds))))
        guidance[stage] = [_drawn(random, method) for method in chosen]
    return guidance


def _drawn(random: Random, method: type[Stage]) -> Body:
    name = method.type_name()
    parameters = RANGES[name](random) if name in RANGES else {}
    return {"type": name} | parameters
