"""Every benchmark by name: a module of this package with a docstring that says what it measures, and `run(bench)`."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

NAMES = (
    "throughput",
    "single",
    "sharing",
    "heterogeneity",
    "joining",
    "fairness",
    "canceling",
    "diagnostics",
    "busy",
    "service",
    "gateway",
    "scale_out",
    "exactness",
    "prediction",
    "batching",
)
"""In the order in which they run."""
ON_REQUEST = ("compiled",)
"""Those that only run where they are named."""


def benchmark(name: str) -> ModuleType:
    """The module, imported when it is needed: torch and diffusers take seconds."""
    return import_module(f"benchmarks.{name}")
