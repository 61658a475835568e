"""What a page needs of one measured sweep, as JSON: from it alone the page can be written again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from typing import Any, Self

from evaluation.metric import METRICS, PARTS
from evaluation.plots import TRADES
from evaluation.results import Measured
from evaluation.run import Run
from evaluation.sweep import Sweep
from evaluation.verdict import Finding, findings
from training.intervals import Estimate

SIDE_BY_SIDE = ("fid", "inception_score", "precision", "recall", "accuracy", "entropy", "out_of_range", "evaluations")
"""What is told of a sweep without a claim."""
PROSE: dict[str, Any] = {"about": True, "show": True, "claim": {"paper", "says"}}
"""Fields that no number depends on: changing them asks for no new measurement."""
DIGITS = 6
"""Significant ones of a number in the file."""
LIST, BREAK = re.compile(r"\[[^\[\]{}\"]*\]"), re.compile(r"\n\s*")
"""Lists of numbers stand in one line."""

Numbers = dict[str, Estimate]


@dataclass(frozen=True, eq=False)
class Record:
    asked: dict[str, Any]
    """The sweep as it was measured, without its prose."""
    size: str
    images: int
    """At each point."""
    reference: int
    """Real pictures that they were compared with."""
    seconds: float
    """All images' shares of the forwards that they took part in; points of one request have the same images."""
    made: dict[str, Any]
    """By what: models, versions, device."""
    points: dict[str, Numbers]
    ends: dict[str, Numbers]
    findings: list[Finding]

    @classmethod
    def of(cls, run: Run) -> Self:
        made, points = run.results.made, run.results.points
        kept = (*METRICS, *(name for name in columns(run.sweep) if name in PARTS))
        return cls(
            asked(run.sweep),
            made["size"],
            made["images"],
            made["reference"],
            sampling_seconds(points.values()),
            {name: made[name] for name in ("models", "classifier", "device", "guidepost", "torch")},
            {name: {key: point[key] for key in kept if key in point} for name, point in points.items()},
            {name: {key: end[key] for key in kept if key in end} for name, end in run.results.ends.items()},
            findings(run.sweep.claim, run.results) if run.sweep.claim else [],
        )

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        tree = {
            "size": self.size,
            "images": self.images,
            "reference": self.reference,
            "seconds": round(self.seconds),
            "made": self.made,
            "findings": [
                {"said": one.said, "found": one.decision, "differences": [_numbers(apart) for apart in one.differences]}
                for one in self.findings
            ],
            "points": {name: _plain(point) for name, point in self.points.items()},
            "ends": {name: _plain(end) for name, end in self.ends.items()},
            "asked": self.asked,
        }
        text = json.dumps(tree, indent=1, ensure_ascii=False)
        path.write_text(LIST.sub(lambda found: BREAK.sub(" ", found[0]), text) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote."""
        tree = json.loads(path.read_text())
        images = tree["images"]

        def numbers(part: str) -> dict[str, Numbers]:
            return {
                name: {key: _estimate(one, images) for key, one in point.items()} for name, point in tree[part].items()
            }

        found = [
            Finding(one["said"], tuple(_estimate(apart, images) for apart in one["differences"]))
            for one in tree["findings"]
        ]
        told = {name: tree[name] for name in ("asked", "size", "images", "reference", "seconds", "made")}
        return cls(**told, points=numbers("points"), ends=numbers("ends"), findings=found)


def columns(sweep: Sweep) -> list[str]:
    """The metrics that a sweep's plot and expectations are about, in the order of METRICS."""
    if sweep.claim is None:
        return list(SIDE_BY_SIDE)
    plotted = [name for plot in sweep.plot for name in (plot.x, plot.y)] or [name for pair in TRADES for name in pair]
    expected = [name for one in sweep.claim.expect for name in (one.metric, one.best_by)]
    return [name for name in (*METRICS, *PARTS) if name in {*plotted, *expected}]


def asked(sweep: Sweep) -> dict[str, Any]:
    """All of a sweep that numbers depend on."""
    dumped: dict[str, Any] = sweep.model_dump(mode="json", exclude=PROSE, exclude_defaults=True)
    return dumped


def sampling_seconds(points: Iterable[Measured]) -> float:
    """In networks, for the images of each request once."""
    sampled = {json.dumps(point.asked, sort_keys=True): point for point in points if "seconds" in point}
    return sum(point["seconds"].value * point.images for point in sampled.values())


def _plain(point: Mapping[str, Estimate]) -> dict[str, list[float | None]]:
    return {name: _numbers(one) for name, one in point.items()}


def _numbers(one: Estimate) -> list[float | None]:
    """Value and interval; JSON knows no NaN."""
    return [float(f"{x:.{DIGITS}g}") if isfinite(x) else None for x in (one.value, one.low, one.high)]


def _estimate(numbers: list[float | None], images: int) -> Estimate:
    value, low, high = (nan if x is None else x for x in numbers)
    return Estimate(value, low, high, images)
