"""How far the engine may be ahead of its accelerators."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import torch

AHEAD = 2
"""Ticks that may be queued: while one runs the next is prepared, so that a device never waits for the host. More would
only delay who joins and who is canceled, and what is reported would not have happened yet."""


class Lead:
    """Marks the end of each tick on every accelerator, and waits for marks that lie far enough back."""

    def __init__(self, devices: Iterable[torch.device]) -> None:
        self._devices = [device for device in devices if device.type == "cuda"]
        self._marks: deque[list[torch.cuda.Event]] = deque()

    def wait(self) -> None:
        """Until there are fewer than AHEAD ticks queued. At once where there is no accelerator."""
        while len(self._marks) >= AHEAD:
            for mark in self._marks.popleft():
                mark.synchronize()

    def mark(self) -> None:
        """What is queued up to here is a tick."""
        if self._devices:
            self._marks.append([self._marked(device) for device in self._devices])

    def _marked(self, device: torch.device) -> torch.cuda.Event:
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(device))
        return event
