"""Does a picture show what its caption says? Segmentation and templates, no network.

A picture is read into a `Reading` (things with shape, colour, size and place; tone and pattern of the background),
and a reading is judged against the caption's claims, attribute by attribute.
"""

from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.captions import Claims, ThingClaim
from training.paint import background, coverage, pattern_mask, rgb
from training.scenes import COLOURS, PATTERNS, RELATIONS, TONES, Thing
from training.segments import blobs, coloured
from training.shapes import SHAPES, unit_area

PATTERN_SHARE = 0.5  # of the drawn contrast, above which a background counts as patterned
OVERLAP = 0.7  # intersection over union with the best template, below which a blob is no shape
FRAME = 3  # px of border that the background's tone is read from


@dataclass(frozen=True)
class Reading:
    """What is seen in a picture; `things` are Thing or, for blobs of no known shape, Thing with shape "none"."""

    things: tuple[Thing, ...]
    tone: str
    pattern: str


def read(picture: Tensor) -> Reading:
    """Read one picture (3, 64, 64), nominally in [0, 1]."""
    picture = picture.clamp(0, 1)
    tone = read_tone(picture)
    return Reading(tuple(read_thing(picture, blob) for blob in blobs(picture)), tone, read_pattern(picture, tone))


def read_tone(picture: Tensor) -> str:
    """The tone whose own mean is nearest to the border's median."""
    border = torch.ones(picture.shape[1:], dtype=torch.bool)
    border[FRAME:-FRAME, FRAME:-FRAME] = False
    seen = picture[:, border].median(1).values
    return min(TONES, key=lambda tone: float((background(tone, "striped").mean((1, 2)) - seen).square().sum()))


def read_pattern(picture: Tensor, tone: str) -> str:
    """Least squares of the background's brightness on each pattern, relative to the contrast that is drawn."""
    near_things = F.max_pool2d(coloured(picture[None]).float(), 9, stride=1, padding=4)[0] > 0
    if (~near_things).sum() < 200:
        return "plain"
    grey = picture.mean(0)[~near_things]
    first, second = (rgb(colour).mean() for colour in TONES[tone])

    def strength(pattern: str) -> float:
        template = pattern_mask(pattern)[~near_things]
        template = template - template.mean()
        return float((template * (grey - grey.mean())).sum() / (template.square().sum() * (second - first)))

    best = max(PATTERNS[1:], key=strength)
    return best if strength(best) > PATTERN_SHARE else "plain"


def read_thing(picture: Tensor, blob: Tensor) -> Thing:
    """The template that overlaps most with the blob (64, 64), placed at its centroid with its area."""
    ys, xs = torch.nonzero(blob, as_tuple=True)
    x, y, area = float(xs.double().mean()) + 0.5, float(ys.double().mean()) + 0.5, int(blob.sum())
    colour = read_colour(picture, blob)
    candidates = [Thing(shape, colour, (area / unit_area(shape)) ** 0.5, x, y) for shape in SHAPES]
    masks = coverage(candidates)
    solid = blob.float()
    overlap = torch.minimum(masks, solid).sum((1, 2)) / torch.maximum(masks, solid).sum((1, 2))
    best = int(overlap.argmax())
    if overlap[best] < OVERLAP:
        return Thing("none", colour, (area / torch.pi) ** 0.5, x, y)
    return candidates[best]


def read_colour(picture: Tensor, blob: Tensor) -> str:
    """The named colour nearest to the blob's mean, its rim left out where it has an inside."""
    inside = -F.max_pool2d(-blob[None].float(), 3, stride=1, padding=1)[0] > 0
    mean = picture[:, inside if inside.sum() >= 20 else blob].mean(1)
    return min(COLOURS, key=lambda colour: float((rgb(COLOURS[colour]) - mean).square().sum()))


def judge(reading: Reading, claims: Claims) -> dict[str, bool]:
    """Whether each stated attribute is right; `count` is always among them.

    Of several things the assignment to the claims that gets most right counts. With too few things, or too many, the
    largest ones are judged, and what is missing is wrong.
    """
    wanted = len(claims.things)
    verdict = {"count": len(reading.things) == wanted}
    if claims.tone is not None:
        verdict["tone"] = reading.tone == claims.tone
    if claims.pattern is not None:
        verdict["pattern"] = reading.pattern == claims.pattern
    seen: list[Thing | None] = [*reading.things[:wanted], *[None] * (wanted - len(reading.things))]
    options = [judge_things(list(order), claims) for order in permutations(seen)]
    return verdict | max(options, key=lambda option: sum(option.values()))


def judge_things(things: list[Thing | None], claims: Claims) -> dict[str, bool]:
    """Verdicts on the things in the claims' order; an attribute is right if it is right for every thing."""
    verdict: dict[str, bool] = {}
    for thing, claim in zip(things, claims.things, strict=True):
        for name, right in judge_thing(thing, claim).items():
            verdict[name] = verdict.get(name, True) and right
    if claims.relation is not None:
        verdict["relation"] = stands(things, claims.relation)
    return verdict


def judge_thing(thing: Thing | None, claim: ThingClaim) -> dict[str, bool]:
    stated = {"shape": claim.shape, "colour": claim.colour, "size": claim.size}
    return {
        name: thing is not None and getattr(thing, name) == value for name, value in stated.items() if value is not None
    }


def stands(things: list[Thing | None], relation: str) -> bool:
    """Whether the first thing is on the named side of the second, more than it is beside."""
    first, second = things
    if first is None or second is None:
        return False
    dx, dy = RELATIONS[relation]
    along = (first.x - second.x) * dx + (first.y - second.y) * dy
    across = (first.x - second.x) * dy + (first.y - second.y) * dx
    return along > abs(across)
