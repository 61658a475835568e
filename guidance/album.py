"""The pictures of one trajectory: kept on the device as it runs, thinned, moved to the host together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from guidance.memory import remembered
from guidance.pictures import Frame, Picture

MOST = 32
"""Frames kept of a picture, and the latest: a bound on memory, whatever the number of steps (1 MB at 64 x 64 cells)."""


@remembered
@dataclass(frozen=True, eq=False)
class Seen:
    step: int
    sigma: float
    picture: Picture


@remembered
@dataclass(eq=False)
class Strip:
    """One picture over the steps: every one of few, evenly spaced ones of many, and always the latest.

    It thins itself as it grows, because what is left depends on the run: outside a guidance interval nothing is.
    """

    latest: Seen
    spaced: list[Seen] = field(default_factory=list)
    count: int = 0
    every: int = 1

    def add(self, seen: Seen) -> None:
        self.latest = seen
        if self.count % self.every == 0:
            self.spaced.append(seen)
        self.count += 1
        if len(self.spaced) > MOST:
            self.spaced, self.every = self.spaced[::2], 2 * self.every

    def __iter__(self) -> Iterator[Seen]:
        yield from self.spaced
        if self.spaced[-1].step != self.latest.step:
            yield self.latest


class Album:
    """The pictures of a trajectory, by name."""

    def __init__(self) -> None:
        self.strips: dict[str, Strip] = {}

    def keep(self, step: int, sigma: float, pictures: Mapping[str, Picture]) -> None:
        """Hold on to a step's pictures where they are: waits for nothing."""
        for name, picture in pictures.items():
            seen = Seen(step, sigma, picture)
            self.strips.setdefault(name, Strip(seen)).add(seen)

    def frames(self) -> dict[str, list[Frame]]:
        """All of them on the host, in one transfer."""
        if not self.strips:
            return {}
        import torch

        kept = [(name, one) for name, strip in self.strips.items() for one in strip]
        cells = torch.cat([one.picture.cells.flatten().float() for _, one in kept]).cpu().numpy()
        found: dict[str, list[Frame]] = {name: [] for name in self.strips}
        begin = 0
        for name, one in kept:
            end = begin + one.picture.cells.numel()
            values = cells[begin:end].reshape(one.picture.cells.shape)
            found[name].append(Frame(one.step, one.sigma, values, one.picture.names))
            begin = end
        return found
