"""A point of a sweep: one guidance spec under a name, and the requests that it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from evaluation.claim import Expectation
from evaluation.stated import filled
from evaluation.sweep import Curve, Sweep, SweepProblems, lines
from guidance.info import ModelInfo
from jobs.comparison_request import ComparisonRequest
from jobs.grid import variants
from jobs.labels import distinct, shown
from jobs.request import GenerationRequest, RequestProblems, resolve
from training.captions import Claims, parse
from training.scenes import Scene, Thing

PROMPT = "a red circle"
SHOWN = Scene((Thing("circle", "red", 18.0, 32.0, 32.0),), "light", "plain")
"""They stand for the captions and their scenes where a point is checked before there are any."""


@dataclass(frozen=True)
class Point:
    """One spec. `body` is a request without its prompt and seed."""

    name: str
    curve: str
    body: Mapping[str, Any]
    varied: Mapping[str, Any] = field(default_factory=dict)
    """JSON pointer -> value, of what varies along its curve."""
    judged_by: str | None = None

    @property
    def x(self) -> float | None:
        """Where it stands along its curve: the first number that varies."""
        numbers = (value for value in self.varied.values() if isinstance(value, int | float))
        return next(map(float, numbers), None)

    @property
    def axis(self) -> str:
        """What `x` is a value of."""
        return next((_word(path) for path, value in self.varied.items() if isinstance(value, int | float)), "")

    def request(self, caption: str, claims: Claims | None, seed: int, scene: Scene | None = None) -> GenerationRequest:
        """What makes one image. Raises pydantic's ValidationError."""
        body = filled(dict(self.body), claims, scene) | {
            "prompt": caption,
            "seed": seed,
            "n": 1,
            "diagnostics": "summary",
        }
        return GenerationRequest.model_validate(body)


def points(sweep: Sweep, infos: Mapping[str, ModelInfo]) -> list[Point]:
    """Every point of a sweep that these models can run, in its order.

    Raises SweepProblems: a line for each place that is wrong, or that a model cannot do.
    """
    found, wrong = list[Point](), list[str]()
    for index, curve in enumerate(sweep.points):
        try:
            found += _along(sweep, curve)
        except RequestProblems as error:
            wrong += [f"points/{index}{problem.pointer}: {problem.detail}" for problem in error.problems]
        except ValidationError as error:
            wrong += lines(error, f"points/{index}")
    for point in found:
        wrong += [f"points: {point.name}: {line}" for line in _refused(point, infos)]
    if wrong := wrong or list(_misnamed(sweep, found)):
        raise SweepProblems(wrong)
    return found


def _misnamed(sweep: Sweep, found: Sequence[Point]) -> Iterator[str]:
    """Names that two points have, and names that no point has."""
    names = [point.name for point in found]
    known = f"the points are {', '.join(names)}"
    yield from (f"points: {name!r} is there twice" for name, count in Counter(names).items() if count > 1)
    if sweep.baseline is not None and sweep.baseline not in names:
        yield f"baseline = {sweep.baseline!r}: {known}"
    yield from (f"show/{index}: {name!r}: {known}" for index, name in enumerate(sweep.show or ()) if name not in names)
    lengths = Counter(point.curve for point in found)
    varying = sorted({point.axis for point in found if point.axis and lengths[point.curve] > 1})
    if len(varying) != 1 and any(plot.x is None for plot in sweep.plot):
        yield f"plot: x = None: curves vary over {', '.join(varying) or 'nothing'}: over one thing, or x names a metric"
    for index, expected in enumerate(sweep.claim.expect if sweep.claim else ()):
        yield from (f"claim/expect/{index}: {line}" for line in _unmet(expected, found, known))


def _unmet(expected: Expectation, found: Sequence[Point], known: str) -> Iterator[str]:
    """Why the points cannot decide it."""
    fewest = 3 if expected.optimum is not None else 2 if expected.trend is not None else 0
    for name in expected.others:
        curve = [point for point in found if point.curve == name]
        meant = curve if fewest else curve or [point for point in found if point.name == name]
        if not meant:
            yield f"{name!r}: {known}"
        elif len(meant) < fewest:
            yield f"{name!r} has {len(meant)} points: {fewest} are the fewest for {expected.kind}"
        elif "psnr" in (expected.metric, expected.best_by) and not all("source" in point.body for point in meant):
            yield f"{name!r}: psnr is of points with a source"


def _along(sweep: Sweep, curve: Curve) -> list[Point]:
    """The points of one curve."""
    body = {
        "model": curve.model or next(iter(sweep.models)),
        "negative_prompt": curve.negative_prompt,
        "sampler": curve.sampler or sweep.sampler,
        "guidance": curve.guidance,
    }
    begun = {"source": curve.source} if curve.source is not None else {}  # it does not vary
    if not curve.grid:
        return [Point(curve.name, curve.name, body | begun, judged_by=curve.judged_by)]
    asked = variants(ComparisonRequest.model_validate(body | {"prompt": PROMPT, "grid": curve.grid}))
    values = [
        {pointer: curve.grid[pointer][_index(origin)] for pointer, origin in variant.origins.items()}
        for variant in asked
    ]
    names = distinct(f"{curve.name} {', '.join(_said(value))}" for value in values)
    return [
        Point(name, curve.name, {part: variant.body[part] for part in body} | begun, varied, curve.judged_by)
        for name, variant, varied in zip(names, asked, values, strict=True)
    ]


def _index(origin: str) -> int:
    """Which of its values a variant has, from where that was written: `/grid/<pointer>/<index>`."""
    return int(origin.rpartition("/")[2])


def _said(varied: Mapping[str, Any]) -> Iterator[str]:
    for pointer, value in varied.items():
        yield f"{_word(pointer)}={shown(value)}"


def _word(pointer: str) -> str:
    last = pointer.rpartition("/")[2]
    return "w" if last == "weight" else last


def _refused(point: Point, infos: Mapping[str, ModelInfo]) -> Iterator[str]:
    """Why it cannot be run."""
    model = point.body["model"]
    try:
        resolve(point.request(PROMPT, parse(PROMPT), 0, SHOWN), infos[model], beside=infos)
    except RequestProblems as error:
        yield from (f"{problem.pointer}: {problem.detail}" for problem in error.problems)
    except ValidationError as error:
        yield from lines(error)
