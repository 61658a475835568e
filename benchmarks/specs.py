"""Random requests over every registered method; a new method has its defaults until it has ranges here."""

from __future__ import annotations

import io
from collections.abc import Callable
from random import Random
from typing import Any

from PIL import Image
from pydantic import ValidationError

from benchmarks.workloads import CAPTIONS, Body
from guidance.combiners import Combiner
from guidance.info import ModelInfo
from guidance.picture import data_url
from guidance.registry import members
from guidance.reuse import Reuse
from guidance.samplers import Sampler
from guidance.stage import Stage
from jobs.request import GenerationRequest, RequestProblems, resolve

STEPS = (2, 5)


def _blocks() -> str:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((4, 4)).convert("RGB").save(file, "png")
    return data_url(file.getvalue())


BLOCKS = _blocks()
"""A reference of 4 x 4 pixels: an image of 64, each 16 x 16 block of it."""

RANGES: dict[str, Callable[[Random], Body]] = {
    "beta": lambda r: {"weight": r.uniform(1, 5), "a": r.uniform(1, 4), "b": r.uniform(1, 4)},
    "clamp_linear": lambda r: {"weight": r.uniform(1, 5), "floor": r.uniform(0, 4), "sigma_low": r.uniform(0, 0.5)},
    "dynamic_cfg": lambda r: {"weight": r.uniform(1, 10), "low": r.random(), "high": r.random()},
    "piecewise": lambda r: {"points": [{"at": at, "weight": r.uniform(0, 10)} for at in (0, r.uniform(0.1, 0.9), 1)]},
    "truncated": lambda r: {"weight": r.uniform(1, 10), "ratio": r.random()},
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
    "adaptive": lambda r: {"threshold": r.uniform(0.5, 1)},
    "cache": lambda r: {"start": r.uniform(0, 0.5), "every": r.randint(1, 4)},
    "rescale": lambda r: {"phi": r.random(), "space": r.choice(["model", "v", "denoised"])},
    "static_threshold": lambda r: {"bound": r.uniform(1, 4), "latent_ok": True},
    "dynamic_threshold": lambda r: {"percentile": r.uniform(0.9, 1), "bound": r.uniform(0.5, 4), "latent_ok": True},
    "autoguidance": lambda r: {"layers": r.choice([["mid"], ["down", "up.0"]])},
    "apg": lambda r: {"eta": r.random(), "norm_threshold": r.choice([None, r.uniform(1, 20)])},
    "fbg": lambda r: {"pi": r.uniform(0.9, 1), "t0": r.random() * 0.9, "t1": r.random()},
    "fdg": lambda r: {"factors": [r.uniform(0, 3) for _ in range(r.randint(1, 3))]},
    "composable": lambda r: {"terms": [_prompt(r) | {"share": r.uniform(-1, 1)} for _ in range(r.randint(1, 2))]},
    "perp_neg": lambda r: {"negatives": [_prompt(r) for _ in range(r.randint(0, 1))]},
    "s_cfg": lambda r: {"finest": r.choice([1, 2, 4, 8])},
    "smc": lambda r: {"lam": r.uniform(2, 8), "k": r.uniform(0.01, 0.8), "form": r.choice(["unit", "sign"])},
    "sega": lambda r: {"concepts": [_prompt(r) | {"warmup": r.choice([0, 0.4]), "away": r.random() < 0.5}]},
    "nag": lambda r: {"scale": r.uniform(1, 8), "blend": r.random()},
    "swap": lambda r: {"changes": [_prompt(r) | {"at": r.random()}], "fade": r.choice([0, 0.5])},
    "pag": lambda r: {"scale": r.uniform(0, 5), "layers": r.choice([["mid"], ["down", "up.0"]])},
    "sag": lambda r: {"scale": r.uniform(0, 2), "base": r.choice(["cond", "uncond"])},
    "seg": lambda r: {"scale": r.uniform(0, 5), "sigma": r.choice([None, r.uniform(0.1, 100)])},
    "skip_layer": lambda r: {"scale": r.uniform(0, 3), "start": r.uniform(0, 0.4), "stop": r.uniform(0.5, 1)},
    "classifier": lambda r: {"labels": [r.randrange(4)], "scale": r.uniform(0, 3)},
    "dps": lambda r: {"losses": [_loss(r)], "rule": r.choice(["constant", "noise"]), "start": r.uniform(0, 0.5)},
    "lgd_mc": lambda r: {"losses": [_loss(r)], "samples": r.randint(1, 3), "start": r.uniform(0, 0.5)},
    "mpgd": lambda r: {"losses": [_loss(r)], "scale": r.uniform(0, 5)},
    "universal": lambda r: {"losses": [_loss(r)], "forward": r.choice([0, 1]), "steps": r.randint(0, 2)},
    "time_travel": lambda r: {"repeats": 2, "low": r.uniform(0, 0.5), "high": r.uniform(0.6, 1)},
    "tsg": lambda r: {"noise_scale": r.uniform(0, 3), "alpha": r.uniform(0, 2)},
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
    reuses = [method for method in members("reuse") if issubclass(method, Reuse)]
    reuse = random.choice(reuses) if random.random() < 0.3 else None  # first: not every combiner fits
    fitting = None if reuse is None else reuse.combiners
    combiners = [method for method in members("combiner") if issubclass(method, Combiner)]
    combiner = random.choice([method for method in combiners if fitting is None or method.type_name() in fitting])
    sampler = _sampler(random, steps, combiner)
    body: Body = {
        "model": info.id,
        "seed": random.randrange(2**32),
        "sampler": sampler,
        "guidance": _guidance(random, sampler["steps"], combiner) | ({"reuse": _drawn(random, reuse)} if reuse else {}),
        "diagnostics": random.choice(["off", "summary", "full"]),
    }
    if info.condition == "label":
        return body | {"label": random.randrange(len(info.labels or "0"))}
    negative = random.choice(["", "", random.choice(CAPTIONS)])
    return body | {"prompt": random.choice(CAPTIONS), "negative_prompt": negative}


def _sampler(random: Random, steps: tuple[int, int], combiner: type[Combiner]) -> Body:
    spacing = random.choice([None, "leading", "trailing", "linspace", "karras"])
    samplers = [method for method in members("sampler") if issubclass(method, Sampler)]
    fitting = [method for method in samplers if method.renoises or not combiner.renoises]
    return _drawn(random, random.choice(fitting)) | {"steps": random.randint(*steps), "spacing": spacing}


def _guidance(random: Random, steps: int, combiner: type[Combiner]) -> Body:
    guidance: dict[str, Any] = {"combiner": _drawn(random, combiner)}
    if random.random() < 0.75:  # else the combiner's own
        guidance["schedule"] = schedule = _drawn(random, random.choice(members("schedule")))
        if schedule["type"] == "per_step":
            schedule["weights"] = [random.choice([None, random.uniform(1, 10)]) for _ in range(steps)]
    for stage in ("condition", "perturbation", "correction", "energy"):
        kinds = members(stage)
        chosen = random.sample(kinds, random.randint(0, min(2, len(kinds))))
        guidance[stage] = [_drawn(random, method) for method in chosen]
    if random.random() < 0.2:
        guidance["travel"] = _drawn(random, random.choice(members("travel")))
    return guidance


def _loss(random: Random) -> Body:
    name = random.choice([method.type_name() for method in members("loss")])
    if name == "label":
        return {"type": name, "labels": [random.randrange(4)]}
    if name == "match":
        return {"type": name, "operator": "downscale", "factor": 16, "image": BLOCKS}
    return {"type": name, "target": f"#{random.randrange(2**24):06x}"}


def _prompt(random: Random) -> Body:
    return {"prompt": random.choice(CAPTIONS)}


def _drawn(random: Random, method: type[Stage]) -> Body:
    name = method.type_name()
    parameters = RANGES[name](random) if name in RANGES else {}
    return {"type": name} | parameters
