"""Two classes of two Gaussians each: one of the first class's is near the second class, the other far from it."""

from __future__ import annotations

from evaluation.plane.model import Plane

STD = 0.35
PLANE = Plane([(-0.2, 0.8), (1.3, 0.3), (-0.8, 0.2), (-0.3, -0.8)], STD, [0, 0, 1, 1])
NEAR, FAR = 0, 1
"""Components of class 0."""
INTERVAL = {"sigma_low": 0.2, "sigma_high": 0.8}
"""Noise levels at which the push tells the points of the class apart."""
EXTENT = ((-2.3, 2.9), (-2.3, 2.3))
"""Of the plane, where x = alpha x0 + sigma eps lies at any level: first and second coordinate."""
