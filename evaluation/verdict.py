"""Whether a claim holds here: each expectation against the interval of a paired difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from evaluation.claim import Claim, Expectation
from evaluation.metric import metric
from evaluation.results import Measured, Results
from training.intervals import Estimate

Verdict = Literal["reproduced", "not reproduced", "mixed"]


@dataclass(frozen=True)
class Finding:
    """An expectation and what was found: differences in the direction that was expected, so that more is truer."""

    said: str
    differences: tuple[Estimate, ...]

    @property
    def holds(self) -> bool:
        """Whether the intervals of all differences lie above 0."""
        return all(one.low > 0 for one in self.differences)

    @property
    def contradicted(self) -> bool:
        """Whether the interval of one of them lies below 0; if neither, these images do not decide it."""
        return any(one.high < 0 for one in self.differences)

    @property
    def decision(self) -> Literal["holds", "no", "undecided"]:
        return "holds" if self.holds else "no" if self.contradicted else "undecided"


def findings(claim: Claim, results: Results) -> list[Finding]:
    """Of each expectation. Raises KeyError for a point, or a metric of it, that is not there."""
    return [_found(expectation, results) for expectation in claim.expect]


def verdict(found: Sequence[Finding]) -> Verdict:
    """Reproduced where all hold, not reproduced where none does."""
    holds = [one.holds for one in found]
    return "reproduced" if all(holds) else "mixed" if any(holds) else "not reproduced"


def as_markdown(claim: Claim, results: Results) -> str:
    """The claim, what was found of it and the verdict."""
    found = findings(claim, results)
    return "\n".join([f"> {claim.says}", f"> ({claim.paper})", "", *rows(found), "", f"**Verdict: {verdict(found)}.**"])


def rows(found: Sequence[Finding]) -> Iterator[str]:
    """A table of them, line by line."""
    yield "| expected | difference in that direction | |"
    yield "| --- | --- | --- |"
    for one in found:
        said = "; ".join(f"{d.value:+.3g} ({d.low:+.3g} to {d.high:+.3g})" for d in one.differences)
        yield f"| {one.said} | {said} | {one.decision} |"


def _found(expected: Expectation, results: Results) -> Finding:
    name, title = expected.metric, metric(expected.metric).title
    if expected.optimum is not None:
        curve, best = results.curves[expected.of], results.best(expected.of, name)
        sign = _sign(name)
        apart = tuple(_apart(results, best, end, name, sign) for end in (curve[0], curve[-1]))
        return Finding(f"{title} of {expected.of} is best inside, here at {best.axis} = {best.x:g}", apart)
    if expected.trend is not None:
        first, *_, last = results.curves[expected.of]
        sign = 1 if expected.trend == "rising" else -1
        return Finding(
            f"{title} is {expected.trend} from {first.name} to {last.name}", (_apart(results, last, first, name, sign),)
        )
    other, sign = (expected.below, -1) if expected.below is not None else (expected.above, 1)
    assert other is not None
    by = expected.best_by or name
    (a, told_a), (b, told_b) = (_point(results, one, by, name) for one in (expected.of, other))
    word = "below" if sign < 0 else "above"
    return Finding(f"{title} of {told_a} is {word} that of {told_b}", (_apart(results, a, b, name, sign),))


def _point(results: Results, name: str, by: str, compared: str) -> tuple[Measured, str]:
    """A point by its name, or a curve's best; and what to call it."""
    if name in results.points:
        return results.points[name], name
    best = results.best(name, by)
    return best, f"{best.name} (best {'' if by == compared else f'{metric(by).title} '}of its curve)"


def _sign(name: str) -> int:
    return -1 if metric(name).better == "lower" else 1


def _apart(results: Results, a: Measured, b: Measured, name: str, sign: int) -> Estimate:
    """sign * (a - b)."""
    one = results.difference(a.name, b.name, name)
    low, high = sorted((sign * one.low, sign * one.high))
    return Estimate(sign * one.value, low, high, one.count)
