"""A schedule as the curve of its weights."""

from __future__ import annotations

from typing import Any

from hypothesis.strategies import SearchStrategy

from guidance.schedules import Schedule
from tests.guidance.strategies import Method, drawn


def everywhere(method: type[Method], **fixed: Any) -> SearchStrategy[Method]:
    """Drawn schedules without an interval."""
    return drawn(method, sigma_low=0.0, sigma_high=None, **fixed)


def over(schedule: Schedule, count: int, sigma: float = 1.0) -> list[float]:
    """The weights of all steps, at one noise level, where guidance is on throughout."""
    weights = [schedule.at(index, count, sigma) for index in range(count)]
    assert None not in weights
    return [weight for weight in weights if weight is not None]
