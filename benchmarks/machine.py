"""Where the figures were measured: hardware, versions, settings and how busy the machine was."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.bench import Bench

PACKAGES = ("torch", "diffusers", "transformers", "numpy", "redis", "rq")


QUIET = 0.5
BUSY = ": not quiet, so measure again when it is"


def described(bench: Bench) -> dict[str, str]:
    """Name -> value, for people and for the JSON report."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M %z"),
        "commit": _commit(),
        "processor": f"{_processor()}, {os.cpu_count()} cores, {_memory():.0f} GiB",
        "device": torch.cuda.get_device_name(bench.device) if bench.device.type == "cuda" else str(bench.device),
        "precision": str(bench.dtype).removeprefix("torch."),
        "threads": f"{torch.get_num_threads()} in torch, on both sides",
        "load before": load() + BUSY * (os.getloadavg()[0] > QUIET),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "model": f"{bench.id}, {bench.model.info.parameters / 1e6:.1f} M parameters, "
        f"{bench.model.info.width} x {bench.model.info.height} pixels",
        "rows per forward": f"at most {bench.rows}",
        "repetitions": f"{bench.repetitions}, interleaved, after one to warm up",
    }


def load() -> str:
    """Processes that wanted to run; afterwards they should be the benchmark's own threads."""
    return f"{os.getloadavg()[0]:.2f} processes wanted to run in the last minute"


def _commit() -> str:
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory() -> float:
    """GiB of the whole machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
