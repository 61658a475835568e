"""Labels beside points: none stands on another, on a point or beyond the frame."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from evaluation.labels import MARKER, label, spread

CROWD = [(0.5, 0.5), (0.5, 0.5), (0.51, 0.5), (0.5, 0.52), (0.54, 0.53)]
CORNERS = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)]


def labelled(places: list[tuple[float, float]], line: str = "none") -> Any:
    """A panel of points, the first of them labelled 1.25, and so on."""
    figure = Figure(figsize=(5, 4))
    panel: Any = figure.subplots()
    panel.set(xlim=(0, 1), ylim=(0, 1))
    panel.plot(*zip(*places, strict=True), marker="o", linestyle=line)
    for index, place in enumerate(places):
        label(panel, f"{index + 1}.25", place, "black")
    figure.draw_without_rendering()
    spread(panel)
    return panel


def boxes(panel: Any) -> list[Bbox]:
    return [one.get_window_extent() for one in panel.texts]


def shared(one: Bbox, other: Bbox) -> float:
    """The area in square pixels."""
    both = Bbox.intersection(one, other)
    return both.width * both.height if both else 0.0


@pytest.mark.parametrize("places", [CROWD, CORNERS, CROWD + CORNERS])
def test_labels_are_beside_points_and_each_other_within_the_frame(places: list[tuple[float, float]]) -> None:
    panel = labelled(places)
    half = MARKER * panel.figure.dpi / 72
    squares = [Bbox.from_extents(*(at - half), *(at + half)) for at in panel.transData.transform(places)]
    for box in boxes(panel):
        assert all(shared(box, square) == pytest.approx(0, abs=1e-6) for square in squares)
        assert shared(box, panel.bbox) == pytest.approx(box.width * box.height)
    assert all(shared(one, other) == 0 for one, other in combinations(boxes(panel), 2))


def test_a_label_is_near_its_point() -> None:
    panel = labelled(CROWD)
    for box, at in zip(boxes(panel), panel.transData.transform(CROWD), strict=True):
        centre = np.array([box.x0 + box.width / 2, box.y0 + box.height / 2])
        assert np.hypot(*(centre - at)) < 30, "pixels of 100 to the inch"


def test_a_label_is_nearest_to_its_own_point() -> None:
    places = [(0.50, 0.50), (0.51, 0.54), (0.55, 0.52)]
    panel = labelled(places)
    points = panel.transData.transform(places)
    for own, box in enumerate(boxes(panel)):
        apart = np.hypot(*(points - [box.x0 + box.width / 2, box.y0 + box.height / 2]).T)
        assert apart.argmin() == own


def test_a_label_stands_beside_the_line_to_the_next_point() -> None:
    panel = labelled([(0.2, 0.2), (0.8, 0.8)], line="-")
    [first, last] = boxes(panel)
    (x, y), _ = panel.transData.transform([(0.2, 0.2), (0.8, 0.8)])
    assert not (first.x0 > x and first.y0 > y), "the line goes there"
    assert shared(first, last) == 0
