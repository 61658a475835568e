"""Numbers beside points, each at that place around its point where it covers the least of what stands there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

HALO = withStroke(linewidth=2, foreground="white")
"""So that a label is read across the lines it stands on."""
SIDES = ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0))
"""Right or left, above or below; of those as free as each other, the first."""
MARKER = 2.5
"""Half the side of the square that a point covers, in points."""
GAPS = (MARKER, 3 * MARKER)
"""From the point's middle to the label, in points; a farther ring is for crowds."""
STROKE = 1.5
"""Of a line that joins points, in points: as wide as it is drawn, and a little air."""
AIR = 1.0
"""Between a label and what is beside it, in points."""
OUTSIDE = 10.0
"""How much worse than over other things a label stands beyond the frame."""


def label(panel: Any, text: str, place: tuple[float, float], colour: str) -> None:
    """A label for a point, which `spread` will put beside it."""
    panel.annotate(
        text, place, xytext=(0, 0), textcoords="offset points", fontsize=7, color=colour, path_effects=[HALO],
        zorder=3, ha="center", va="center",
    )  # fmt: skip


def spread(panel: Any) -> None:
    """Puts a panel's labels beside their points, in the order they were made; the panel is as large as it will be."""
    pixels = panel.figure.dpi / 72
    markers = np.array(list(_markers(panel)))
    taken = [*_squares(markers, MARKER * pixels), *_squares(_strokes(panel, STROKE * pixels), STROKE * pixels / 2)]
    for one in panel.texts:
        place = panel.transData.transform(one.xy)
        box = one.get_window_extent().padded(AIR * pixels)
        offsets = [_offset(side, gap * pixels, box) for gap in GAPS for side in SIDES]
        harms = [
            _covered(box.translated(*offset), taken, panel.bbox)
            + box.width * box.height * _strays(place, place + offset, markers)
            for offset in offsets
        ]
        best = offsets[harms.index(min(harms))]
        one.set_position((best[0] / pixels, best[1] / pixels))
        taken.append(box.translated(*best))


def _strays(place: Any, middle: Any, markers: Any) -> bool:
    """Whether another point is nearer to a label's middle than its own, so that it would be read as that one's."""
    own, nearest = np.hypot(*(middle - place)), np.hypot(*(markers - middle).T).min()
    return bool(nearest < own - 0.01)


def _markers(panel: Any) -> Iterator[Any]:
    """Where they stand, in pixels."""
    for line in panel.lines:
        if line.get_marker() != "None":
            yield from panel.transData.transform(line.get_xydata())


def _strokes(panel: Any, apart: float) -> Iterator[Any]:
    """Places along the lines that join points, in pixels."""
    for line in panel.lines:
        if line.get_linestyle() != "None":
            ends = panel.transData.transform(line.get_xydata())
            for begin, end in pairwise(ends):
                count = max(2, int(np.hypot(*(end - begin)) / apart))
                yield from np.linspace(begin, end, count)


def _squares(places: Iterable[Any], half: float) -> Iterator[Bbox]:
    return (Bbox.from_extents(*(at - half), *(at + half)) for at in places)


def _offset(side: tuple[int, int], gap: float, box: Bbox) -> tuple[float, float]:
    return side[0] * (gap + box.width / 2), side[1] * (gap + box.height / 2)


def _covered(box: Bbox, taken: Sequence[Bbox], frame: Bbox) -> float:
    """The area that a box shares with others, or has beyond the frame, in square pixels."""
    within = Bbox.intersection(box, frame)
    beyond = box.width * box.height - (within.width * within.height if within else 0)
    shared = (Bbox.intersection(box, other) for other in taken)
    return OUTSIDE * beyond + sum(one.width * one.height for one in shared if one)
