"""Signed distances of the six shapes: negative inside, positive outside, in pixels, y growing downwards.

Every shape is given at unit radius with its centroid in the origin. Radii are balanced so that shapes of the
same nominal radius look about equally large.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Point = tuple[float, float]
Distance = Callable[[Tensor, Tensor], Tensor]


def regular(corners: int, radius: float) -> list[Point]:
    """Corners of a regular polygon, the first one straight up."""
    turns = [2 * math.pi * k / corners for k in range(corners)]
    return [(radius * math.sin(turn), -radius * math.cos(turn)) for turn in turns]


def pointed(points: int, outer: float, inner: float) -> list[Point]:
    """Corners of a star whose radius alternates between `outer` and `inner`."""
    radii = [outer, inner] * points
    turns = [math.pi * k / points for k in range(2 * points)]
    return [(r * math.sin(turn), -r * math.cos(turn)) for r, turn in zip(radii, turns, strict=True)]


def plus(arm: float, half: float) -> list[Point]:
    """Corners of an upright cross: arms reach to `arm` and are 2 `half` wide."""
    quarter = [(half, -arm), (half, -half), (arm, -half)]
    corners: list[Point] = []
    for _ in range(4):
        corners += quarter
        quarter = [(-y, x) for x, y in quarter]
    return corners


POLYGONS: dict[str, list[Point]] = {
    "square": [(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)],
    "triangle": regular(3, 1.3),
    "star": pointed(5, 1.25, 0.58),
    "cross": plus(1.05, 0.38),
}
DISC_RADIUS = 1.0
RING_RADII = (0.55, 1.05)


def shoelace(corners: Sequence[Point]) -> float:
    """Area of a simple polygon, by the shoelace formula."""
    pairs = zip(corners, [*corners[1:], corners[0]], strict=True)
    return abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairs)) / 2


def polygon(corners: Sequence[Point], x: Tensor, y: Tensor) -> Tensor:
    """Exact signed distance to a simple polygon: nearest edge, sign by the crossing rule."""
    nearest = torch.full_like(x, math.inf)
    inside = torch.zeros_like(x, dtype=torch.bool)
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        ex, ey = bx - ax, by - ay
        along = (((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey)).clamp(0, 1)
        nearest = torch.minimum(nearest, (x - ax - along * ex) ** 2 + (y - ay - along * ey) ** 2)
        if ey:
            spans = (y >= min(ay, by)) & (y < max(ay, by))
            inside ^= spans & (x < ax + (y - ay) * ex / ey)
    return torch.where(inside, -nearest.sqrt(), nearest.sqrt())


def disc(x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x, y) - DISC_RADIUS


def ring(x: Tensor, y: Tensor) -> Tensor:
    inner, outer = RING_RADII
    return (torch.hypot(x, y) - (inner + outer) / 2).abs() - (outer - inner) / 2


def unit_distance(shape: str) -> Distance:
    """Signed distance function (x, y) -> d of a shape at unit radius."""
    if shape in POLYGONS:
        return lambda x, y: polygon(POLYGONS[shape], x, y)
    return {"circle": disc, "ring": ring}[shape]


def unit_area(shape: str) -> float:
    """Area at unit radius, in closed form."""
    if shape in POLYGONS:
        return shoelace(POLYGONS[shape])
    inner, outer = RING_RADII
    return math.pi * {"circle": DISC_RADIUS**2, "ring": outer**2 - inner**2}[shape]


def distance(shape: str, x: Tensor, y: Tensor, radius: Tensor) -> Tensor:
    """Signed distance in pixels for coordinates relative to the centre; `radius` broadcasts against them."""
    return unit_distance(shape)(x / radius, y / radius) * radius


SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
