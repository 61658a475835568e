"""The requests that are timed, by name and body."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from guidance.info import ModelInfo
from jobs.request import GenerationRequest as Request
from jobs.request import resolve

Body = dict[str, Any]
Workload = list[tuple[str, Body]]
"""Name and body of each request."""

SIZES = ("a", "a small", "a large", "a tiny")
COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black")
THINGS = ("circle", "square", "triangle", "star", "ring", "cross")
GROUNDS = ("", " on a dark background", " on a light background", " on a striped background")
CAPTIONS = [f"{size} {colour} {thing}{ground}" for ground, thing, colour, size in itertools.product(
    GROUNDS, THINGS, COLOURS, SIZES
)]  # fmt: skip


def _cfg(weight: float) -> Body:
    return {"schedule": {"type": "constant", "weight": weight}}


APG: Body = {"schedule": {"type": "clamp_linear", "weight": 5, "floor": 2}, "combiner": {"type": "apg"}}


def _sampler(type: str, steps: int) -> Body:
    return {"type": type, "steps": steps}


MIXED: Workload = [
    ("cfg 5, ddim 30", {"guidance": _cfg(5), "sampler": _sampler("ddim", 30)}),
    ("cfg cosine, euler 25", {"guidance": {"preset": "cfg_cosine"}, "sampler": _sampler("euler", 25)}),
    ("t_norm cosine, dpmpp_2m 20", {"guidance": {"preset": "t_norm_cosine"}, "sampler": _sampler("dpmpp_2m", 20)}),
    ("full_norm cosine, unipc 20", {"guidance": {"preset": "full_norm_cosine"}, "sampler": _sampler("unipc", 20)}),
    ("base_norm 7.5, ddim 25", {"guidance": {"preset": "base_norm_fixed"}, "sampler": _sampler("ddim", 25)}),
    (
        "cfg 5 in an interval, dpmpp_2m 25",
        {
            "guidance": {"schedule": {"type": "interval", "weight": 5, "sigma_low": 0.3, "sigma_high": 5}},
            "sampler": _sampler("dpmpp_2m", 25),
        },
    ),
    (
        "cfg 7.5 with cads and rescale, euler 30",
        {
            "guidance": _cfg(7.5) | {"condition": [{"type": "cads"}], "correction": [{"type": "rescale"}]},
            "sampler": _sampler("euler", 30),
        },
    ),
    (
        "cfg warm-up and cosine, unipc 28",
        {"guidance": {"preset": "cfg_warmup_cosine"}, "sampler": _sampler("unipc", 28)},
    ),
]
"""Name and body of eight unlike requests, 20 to 30 steps."""

PLAIN: Workload = [
    (f"cfg {weight}, {body['sampler']['type']} {body['sampler']['steps']}", body | {"guidance": _cfg(weight)})
    for weight, (_, body) in enumerate(MIXED, start=2)
]
"""The same solvers and steps under plain CFG of eight weights: equal evaluations on both sides."""


def _alike(count: int, type: str, steps: int) -> Workload:
    """One plain CFG spec, `count` prompts and seeds."""
    return [(f"cfg 5, {type} {steps}", {"guidance": _cfg(5), "sampler": _sampler(type, steps)})] * count


ALIKE = _alike(8, "ddim", 30)
ALONE = _alike(1, "ddim", 30)

UNLIKE: Workload = [
    *MIXED[:5],
    ("apg growing to 10, lms 22", {"guidance": APG, "sampler": _sampler("lms", 22)}),
    *MIXED[6:],
]
"""Eight methods, five solvers, 20 to 30 steps; two evaluations in each of 200 steps, as in `EVEN`."""

EVEN = _alike(8, "ddim", 25)
"""As many evaluations as `UNLIKE`, in one spec."""


def _interval(type: str, steps: int, weight: float, high: float, **more: Any) -> Body:
    schedule = {"type": "interval", "weight": weight, "sigma_low": 0.3, "sigma_high": high}
    return {"guidance": {"schedule": schedule} | more, "sampler": _sampler(type, steps)}


ADAPTIVE = {"type": "adaptive", "threshold": 0.9995}
"""At the published 0.991 guidance would end with its first step on `shapes`; at this it lasts for some."""

SPARING: Workload = [
    ("cfg in an interval, ddim 30", _interval("ddim", 30, 5, 5)),
    ("cfg in an interval, euler 25", _interval("euler", 25, 4, 5)),
    ("cfg in an interval, dpmpp_2m 20", _interval("dpmpp_2m", 20, 7.5, 5)),
    ("apg in an interval, unipc 20", _interval("unipc", 20, 5, 5, combiner={"type": "apg"})),
    ("interval and adaptive, ddim 25", _interval("ddim", 25, 7.5, 2, reuse=ADAPTIVE)),
    ("interval and adaptive, dpmpp_2m 25", _interval("dpmpp_2m", 25, 5, 2, reuse=ADAPTIVE)),
    ("interval and adaptive, euler 30", _interval("euler", 30, 4, 2, reuse=ADAPTIVE)),
    ("interval and adaptive, unipc 28", _interval("unipc", 28, 6, 2, reuse=ADAPTIVE)),
]
"""Eight requests whose guidance spares evaluations: all in an interval, half of them adaptive too."""

TWENTY = _alike(1, "ddim", 20)
TEN = _alike(1, "ddim", 10)
SHORT = _alike(1, "ddim", 4)
LONG = _alike(1, "ddim", 250)
"""What stays in an engine while others come and go."""


def requests(workload: Workload, info: ModelInfo, numbers: Iterator[int], steps: int | None = None) -> list[Request]:
    """The workload with prompts and seeds that follow from the next `numbers`; `steps` caps the steps of each."""
    return [request(body, info, next(numbers), steps) for _, body in workload]


def request(body: Body, info: ModelInfo, number: int, steps: int | None = None) -> Request:
    """One resolved request. Distinct numbers have distinct prompts, so that no embedding is remembered."""
    sampler = body["sampler"] | {"steps": min(body["sampler"]["steps"], steps or 250)}
    fields = {"model": info.id, "prompt": CAPTIONS[number % len(CAPTIONS)], "seed": number, "sampler": sampler}
    return resolve(Request.model_validate(body | fields), info)
