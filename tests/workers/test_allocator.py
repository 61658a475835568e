"""Memory that a forward frees is there for the next."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, threading, torch
from workers.allocator import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        parts = [torch.empty(size * 2**20, dtype=torch.uint8).fill_(1) for size in (4, 40)]
        del parts
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def engine():
    faults()  # the first asks the system
    print(kept, faults())

kept = keep_memory()
thread = threading.Thread(target=engine)
thread.start()
thread.join()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_memory_that_is_freed_and_asked_again_is_not_asked_of_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    kept, faults = done.stdout.split()
    assert kept == "True"
    assert int(faults) < 50 * 10  # 44 MiB are 11,264 pages each time
