"""The contact sheet: the same captions and seeds under every spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

INCHES = 0.8
"""Of a picture."""
LABEL_INCHES = 1.5
GAP = 2
"""Pixels between pictures."""
WHITE = 255


def sheet(shown: Mapping[str, NDArray[np.uint8]], captions: Sequence[str]) -> Figure:
    """A row for each point, a column for each caption. `shown` has pictures (columns, H, W, 3), bytes, by point."""
    rows = [np.concatenate([_framed(picture) for picture in pictures], 1) for pictures in shown.values()]
    height, width = rows[0].shape[0], rows[0].shape[1] // len(captions)
    figure = Figure(figsize=(LABEL_INCHES + INCHES * len(captions), 0.7 + INCHES * len(shown)), layout="constrained")
    panel = figure.subplots()
    panel.imshow(np.concatenate(rows, 0), interpolation="nearest")
    names = ["\n".join(wrap(name, 18)) for name in shown]
    panel.set_yticks([height * (place + 0.5) for place in range(len(shown))], names, fontsize=7)
    told = ["\n".join(wrap(caption, 15)) for caption in captions]
    panel.set_xticks([width * (place + 0.5) for place in range(len(captions))], told, fontsize=5.5)
    panel.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    panel.spines[:].set_visible(False)
    return figure


def _framed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.pad(picture, ((GAP, GAP), (GAP, GAP), (0, 0)), constant_values=WHITE)
