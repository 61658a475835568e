"""The results as CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from evaluation.metric import METRICS, metric
from evaluation.results import Results
from training.intervals import Estimate


class Numbers(Protocol):
    """Metrics of a point by name."""

    def __contains__(self, name: str, /) -> bool: ...

    def __getitem__(self, name: str, /) -> Estimate: ...


COLUMNS = ("point", "curve", "axis", "x", "images", "metric", "value", "low", "high")
FIRST = ("fid", "inception_score", "precision", "recall", "density", "coverage")
SECOND = ("accuracy", "entropy", "out_of_range", "chroma", "psnr", "evaluations", "seconds")


def as_csv(results: Results) -> str:
    """A line for each point and metric, the ends of the scale included."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for point in (*results.points.values(), *results.ends.values()):
        x = "" if point.x is None else point.x
        for name, one in point.estimates().items():
            writer.writerow([point.name, point.curve, point.axis, x, point.images, name, one.value, one.low, one.high])
    return file.getvalue()


def as_markdown(results: Results) -> str:
    """All points in two tables, the differences from the baseline in a third, and what the columns are."""
    made = results.made
    head = [
        f"# {results.name}",
        results.about.strip(),
        f"{len(results.points)} points, {made['images']:,} images at each, the same captions and seeds; "
        f"{made['reference']:,} real pictures to compare with. In brackets: 95 % intervals, by bootstrap "
        f"over the images. `guidepost` {made['guidepost']}, torch {made['torch']}, {made['device']}.",
    ]
    parts = [
        *head,
        "## Distribution",
        table(results.points, results.ends, FIRST),
        "## Captions, variety, saturation, cost",
        table(results.points, results.ends, SECOND),
    ]
    if results.baseline is not None:
        parts += [f"## Differences from {results.baseline}", _differences(results, results.baseline)]
    lost = [f"{point.name}: {point.lost}" for point in results.points.values() if point.lost]
    if lost:
        parts += [f"Images that became NaN or infinite, grey above: {'; '.join(lost)}."]
    return "\n\n".join([*(part for part in parts if part), "## The columns", "\n".join(_legend(results))]) + "\n"


def table(points: Mapping[str, Numbers], ends: Mapping[str, Numbers], names: Sequence[str]) -> str:
    """The metrics that any point has. Best values bold; the ends of the scale below."""
    used = [name for name in names if any(name in point for point in points.values())]
    best = {name: _best(points, name) for name in used}
    lines = [_row(["point", *(metric(name).title for name in used)]), _row(["---"] * (len(used) + 1))]
    for label, point in points.items():
        lines.append(_row([label, *(_cell(point, name, best[name] == label) for name in used)]))
    for label, end in ends.items():
        lines.append(_row([f"*{label}*", *(_cell(end, name, False) for name in used)]))
    return "\n".join(lines)


def _best(points: Mapping[str, Numbers], name: str) -> str | None:
    """The point with the best value, where one way is better."""
    if metric(name).better == "neither" or len(points) == 1:
        return None
    sign = -1.0 if metric(name).better == "lower" else 1.0
    there = [label for label, point in points.items() if name in point]
    return max(there, key=lambda label: sign * points[label][name].value)


def _cell(point: Numbers, name: str, best: bool) -> str:
    if name not in point:
        return ""
    one, digits = point[name], metric(name).digits
    value = f"**{one.value:.{digits}f}**" if best else f"{one.value:.{digits}f}"
    exact = one.low == one.high == one.value
    return value if exact else f"{value} ({one.low:.{digits}f} to {one.high:.{digits}f})"


def _differences(results: Results, baseline: str) -> str:
    """Question by question: bold where the interval leaves 0 out."""
    used = [name for name in METRICS if name in results.points[baseline] and name not in ("seconds", "latent_std")]
    lines = [_row(["point", *(metric(name).title for name in used)]), _row(["---"] * (len(used) + 1))]
    for point in results.points:
        if point != baseline:
            cells = [
                _apart(results.difference(point, baseline, name), metric(name).digits)
                if name in results.points[point]
                else ""
                for name in used
            ]
            lines.append(_row([point, *cells]))
    return "\n".join(lines)


def _apart(one: Estimate, digits: int) -> str:
    value = f"{one.value:+.{digits}f}"
    clear = one.low > 0 or one.high < 0
    return f"{f'**{value}**' if clear else value} ({one.low:+.{digits}f} to {one.high:+.{digits}f})"


def _legend(results: Results) -> Iterator[str]:
    arrows = {"higher": "higher is better", "lower": "lower is better", "neither": "neither way is better"}
    for name, one in METRICS.items():
        if any(name in point for point in results.points.values()):
            yield f"- **{one.title}** ({arrows[one.better]}): {one.about}."
    if results.ends:
        yield "- *real*: scenes as drawn; *autoencoder*: the same, encoded and decoded; *noise*: uniform bytes."


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
