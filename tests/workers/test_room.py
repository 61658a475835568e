"""Memory that really runs out: in a process that may have only so much."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import resource
from collections.abc import Sequence
import psutil, torch
from guidance.protocol import Branch
from jobs.request import GenerationRequest, resolve
from tests.workers.conftest import Failing, run_to_end, small_mixture, poison
from workers.engine import Engine
from workers.task import Task

MIB = 2**20
ROW = 200 * MIB  # half a row is more than the 64 MiB of addresses that each new thread's allocator sets aside
mixture = small_mixture()
model = Failing(mixture.means, mixture.stds, id="small")
guilty = poison(3, model)

def fault(branches, outputs):
    room = torch.empty(len(branches) * ROW, dtype=torch.uint8).fill_(1)
    if any(map(guilty, branches)):
        torch.empty(2**44, dtype=torch.uint8)

def task(id, label):
    body = {"model": "small", "label": label, "seed": 0, "sampler": {"type": "ddim", "steps": 3}}
    return Task(id, resolve(GenerationRequest.model_validate(body), model.info))

run_to_end(Engine({"small": model}), [task("warm", 0)])
model.fault = fault
process = psutil.Process()
used = process.memory_info().vms
resource.setrlimit(resource.RLIMIT_AS, (used + 5 * ROW + ROW // 2, resource.RLIM_INFINITY))
before = process.memory_info().rss
engine = Engine({"small": model}, max_batch_rows=8)
ends = run_to_end(engine, [task("one", 1), task("bad", 3), task("two", 2), task("three", 0)])
print([end.reason or end.status for end in ends], engine.batcher.room.rows)
[after] = run_to_end(Engine({"small": model}, max_batch_rows=8), [task("after", 1)])
print(after.status, (process.memory_info().rss - before) // MIB < 20)
"""


def test_who_needs_too_much_fails_alone_and_leaves_nothing_behind() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["['succeeded', 'out_of_memory', 'succeeded', 'succeeded'] 3", "succeeded True"]
