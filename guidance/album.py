"""The pictures of one trajectory: kept on the device as it runs, thinned, moved to the host once at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from guidance.pictures import Frame, Picture

MOST = 32
"""Frames kept of a picture, and the latest: a bound on memory, whatever the number of steps (1 MB at 64 x 64 cells)."""


@dataclass(frozen=True, eq=False)
class _Kept:
    step: int
    sigma: float
    picture: Picture


class Strip:
    """One picture over the steps: every one of few, evenly spaced ones of many, and always the latest.

    It thins itself as it grows, because what is left depends on the run: outside a guidance interval nothing is.
    """

    def __init__(self) -> None:
        self._spaced: list[_Kept] = []
        self._seen, self._every = 0, 1

    def add(self, kept: _Kept) -> None:
        self._latest = kept
        if self._seen % self._every == 0:
            self._spaced.append(kept)
        self._seen += 1
        if len(self._spaced) > MOST:
            self._spaced, self._every = self._spaced[::2], 2 * self._every

    def __iter__(self) -> Iterator[_Kept]:
        yield from self._spaced
        if self._spaced[-1] is not self._latest:
            yield self._latest


class Album:
    """The pictures of a trajectory, by name."""

    def __init__(self) -> None:
        self._strips: dict[str, Strip] = {}

    def keep(self, step: int, sigma: float, pictures: Mapping[str, Picture]) -> None:
        """Hold on to a step's pictures where they are: waits for nothing."""
        for name, picture in pictures.items():
            self._strips.setdefault(name, Strip()).add(_Kept(step, sigma, picture))

    def frames(self) -> dict[str, list[Frame]]:
        """All of them on the host, in one transfer."""
        if not self._strips:
            return {}
        import torch

        kept = [(name, one) for name, strip in self._strips.items() for one in strip]
        cells = torch.cat([one.picture.cells.flatten().float() for _, one in kept]).cpu().numpy()
        found: dict[str, list[Frame]] = {name: [] for name in self._strips}
        begin = 0
        for name, one in kept:
            end = begin + one.picture.cells.numel()
            values = cells[begin:end].reshape(one.picture.cells.shape)
            found[name].append(Frame(one.step, one.sigma, values, one.picture.names))
            begin = end
        return found
