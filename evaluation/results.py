"""What came out of a sweep: points by name, metrics by name, each with its interval; and differences of points."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from evaluation.bootstrap import Replicates
from evaluation.measures import Measures, packed, unpacked
from evaluation.metric import METRICS, PARTS, metric
from evaluation.shelf import Arrays
from training.intervals import Estimate

JSON, RESAMPLED = "report.json", "resamples.npz"


@dataclass(frozen=True, eq=False)
class Measured:
    """One point, or one end of the scale."""

    name: str
    measures: Measures
    images: int
    curve: str = ""
    axis: str = ""
    x: float | None = None
    """Where it stands along its curve, a value of what `axis` names."""
    lost: int = 0
    """Images that became NaN or infinite."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """The request without captions and seeds."""

    def __getitem__(self, name: str) -> Estimate:
        """One metric with its interval; KeyError where it is not defined for this point."""
        return estimated(name, self.measures[name], self.images)

    def __contains__(self, name: str) -> bool:
        return name in self.measures

    def estimates(self) -> dict[str, Estimate]:
        """In the order of METRICS, then of their parts."""
        return {name: self[name] for name in (*METRICS, *PARTS) if name in self}


@dataclass(frozen=True, eq=False)
class Results:
    """One run of a sweep."""

    name: str
    about: str
    points: dict[str, Measured]
    ends: dict[str, Measured]
    """`real`, `autoencoder` and `noise`."""
    baseline: str | None
    made: dict[str, Any]
    """With what it was measured: size, counts, models, versions."""

    @property
    def curves(self) -> dict[str, list[Measured]]:
        """The points of each, along it."""
        found: dict[str, list[Measured]] = {}
        for point in self.points.values():
            found.setdefault(point.curve, []).append(point)
        return {
            name: sorted(curve, key=lambda point: point.x if point.x is not None else 0.0)
            for name, curve in found.items()
        }

    def difference(self, a: str, b: str, name: str) -> Estimate:
        """A metric of point `a` minus that of `b`, over the same captions and seeds."""
        one, other = self.points[a], self.points[b]
        apart = one.measures[name] - other.measures[name]
        return Estimate(apart.value, *apart.interval, one.images)

    def best(self, curve: str, name: str) -> Measured:
        """The point of a curve where a metric is best."""
        sign = -1.0 if metric(name).better == "lower" else 1.0
        return max(self.curves[curve], key=lambda point: sign * point[name].value)

    def save(self, folder: Path) -> list[Path]:
        """`report.json`, and beside it the resamples that differences need."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / JSON).write_text(json.dumps(self._tree(), indent=1) + "\n")
        with (folder / RESAMPLED).open("wb") as file:
            np.savez_compressed(file, **self._arrays())  # type: ignore[arg-type]  # its stub takes a flag by name, too
        return [folder / JSON, folder / RESAMPLED]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        tree = json.loads((folder / JSON).read_text())
        with np.load(folder / RESAMPLED) as arrays:
            held = dict(arrays)
        parts = {part: _measured(part, tree[part], held) for part in ("points", "ends")}
        return cls(tree["name"], tree["about"], parts["points"], parts["ends"], tree["baseline"], tree["made"])

    def _tree(self) -> dict[str, Any]:
        used = {name for one in (*self.points.values(), *self.ends.values()) for name in one.measures}
        return {
            "name": self.name,
            "about": self.about,
            "made": self.made,
            "baseline": self.baseline,
            "metrics": {
                name: {"title": metric(name).title, "better": metric(name).better, "about": metric(name).about}
                for name in (*METRICS, *PARTS)
                if name in used
            },
            "points": {name: _plain(point) for name, point in self.points.items()},
            "ends": {name: _plain(end) for name, end in self.ends.items()},
        }

    def _arrays(self) -> Arrays:
        return {
            f"{part}/{place}/{key}": array
            for part, all_of_it in (("points", self.points), ("ends", self.ends))
            for place, one in enumerate(all_of_it.values())
            for key, array in packed(one.measures).items()
        }


def estimated(name: str, replicates: Replicates, images: int) -> Estimate:
    """With its interval, kept to where the metric can be."""
    low, high = (float(np.clip(end, 0.0, metric(name).most)) for end in replicates.interval)
    return Estimate(replicates.value, low, high, images)


def _plain(point: Measured) -> dict[str, Any]:
    told = {name: getattr(point, name) for name in ("curve", "axis", "x", "images", "lost", "asked")}
    metrics = {
        name: [_finite(one.value), _finite(one.low), _finite(one.high)] for name, one in point.estimates().items()
    }
    return told | {"metrics": metrics}


def _finite(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if np.isfinite(value) else None


def _measured(part: str, tree: dict[str, Any], arrays: Arrays) -> dict[str, Measured]:
    found = {}
    for place, (name, one) in enumerate(tree.items()):
        beginning = f"{part}/{place}/"
        own = {key.removeprefix(beginning): array for key, array in arrays.items() if key.startswith(beginning)}
        told = {key: value for key, value in one.items() if key != "metrics"}
        found[name] = Measured(name, unpacked(own), **told)
    return found
