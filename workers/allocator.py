"""The C library's allocator, told to keep what it was given."""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""Parameters of glibc's mallopt(3)."""
LARGEST = 2**30


def keep_memory() -> bool:
    """Keep freed memory for the next forward; False where the C library has no such wish. Call it before any thread.

    Layers of a network free megabytes and ask for them again. As it is, glibc gives them back to the system each time,
    which clears every page anew: a tenth of a forward of sixteen rows (docs/log.md). A process then stays as large as
    it was at its largest.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    wishes = ((ARENA_MAX, 1), (TRIM_THRESHOLD, LARGEST), (MMAP_THRESHOLD, LARGEST))
    return mallopt is not None and all([mallopt(name, value) == 1 for name, value in wishes])
