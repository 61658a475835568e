"""A checkpoint: where the images of a request stand, for another process to go on with them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from guidance.checkpoint import Packed


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of each image's trajectory, on the host; None for one that has not begun."""

    states: Packed
    taken: threading.Event = field(default_factory=threading.Event)
    """Set by whoever writes it down: the engine makes the next one only then."""
