"""Memory that forwards give back stays with the process.

glibc gives large blocks back to the system at once and asks for them anew at the next layer; the system then clears
each page of them at its first touch. A forward of many rows spends a tenth of its time and more on that (docs/log.md).
"""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, ARENA_MAX = -1, -2, -3, -8
"""Parameters of mallopt(3)."""
LARGEST = 2**31 - 1
PAD = 64 * 2**20


def keep_memory() -> bool:
    """Let this process keep what it frees, up to what it once needed; whether the allocator is one that can be told.

    One arena for all threads: the others consist of pieces of 64 MiB, which are given back whatever is said.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    told = {TRIM_THRESHOLD: LARGEST, TOP_PAD: PAD, MMAP_THRESHOLD: LARGEST, ARENA_MAX: 1}
    return mallopt is not None and all(mallopt(name, value) for name, value in told.items())
