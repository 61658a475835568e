"""The requests of the load: small, of many methods, and the files that each gives when nothing disturbs it."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from random import Random
from typing import Any

from jobs.request import GenerationRequest
from jobs.settings import Settings
from workers.local import generate

SAMPLERS = ("ddim", "ddpm", "dpmpp_2m", "euler", "euler_ancestral", "heun")
COMBINERS = ("cfg", "apg", "mambo_g", "cfg_zero", "fdg", "tcfg")
LABELS = (0, 1, 2)
"""The fourth is the poison's."""
POISON = 3

Body = dict[str, Any]
PICTURE: Body = {
    "model": "gaussians",
    "label": 1,
    "seed": 3,
    "sampler": {"type": "ddim", "steps": 10},
    "guidance": {"schedule": {"type": "constant", "weight": 2}},
}
"""One like another, where only time counts."""


def mixture(seed: int, size: int = 24, steps: tuple[int, int] = (4, 20)) -> list[Body]:
    """Requests that differ in all that may share a forward."""
    random = Random(seed)
    return [_body(random, steps) for _ in range(size)]


def _body(random: Random, steps: tuple[int, int]) -> Body:
    return {
        "model": "gaussians",
        "label": random.choice(LABELS),
        "seed": random.randrange(1000),
        "n": random.choice((1, 1, 2, 3)),
        "sampler": {"type": random.choice(SAMPLERS), "steps": random.randint(*steps)},
        "guidance": {
            "schedule": {"type": "constant", "weight": random.choice((1, 2, 4))},
            "combiner": {"type": random.choice(COMBINERS)},
        },
        "diagnostics": random.choice(("off", "summary")),
    }


def name(body: Body) -> str:
    """What a history calls this request."""
    return json.dumps(body, sort_keys=True)


@cache
def files(request: str) -> tuple[str, ...]:
    """The sha256 of the files that a request of this name gives, run alone in this process."""
    result = generate(GenerationRequest.model_validate_json(request), settings=Settings())
    return tuple(hashlib.sha256(image.data).hexdigest() for image in result.images)


def undisturbed(bodies: list[Body]) -> dict[str, tuple[str, ...]]:
    """What `check` expects of them."""
    return {name(body): files(name(body)) for body in bodies}
