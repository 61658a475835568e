"""The requests that are timed: eight unlike ones, eight of plain CFG, eight alike."""

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

ALIKE: Workload = [("cfg 5, ddim 30", {"guidance": _cfg(5), "sampler": _sampler("ddim", 30)})] * 8
"""One spec, eight prompts and seeds."""


ALONE: Workload = ALIKE[:1]
"""One request."""


def requests(workload: Workload, info: ModelInfo, numbers: Iterator[int], steps: int | None = None) -> list[Request]:
    """The workload with prompts and seeds that follow from the next `numbers`; `steps` caps the steps of each."""
    return [request(body, info, next(numbers), steps) for _, body in workload]


def request(body: Body, info: ModelInfo, number: int, steps: int | None = None) -> Request:
    """One resolved request. Distinct numbers have distinct prompts, so that no embedding is remembered."""
    sampler = body["sampler"] | {"steps": min(body["sampler"]["steps"], steps or 250)}
    fields = {"model": info.id, "prompt": CAPTIONS[number % len(CAPTIONS)], "seed": number, "sampler": sampler}
    return resolve(Request.model_validate(body | fields), info)
