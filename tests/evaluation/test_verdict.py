"""Verdicts on claims: what must hold of paired differences, and what is refused before anything is sampled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from evaluation.bootstrap import RESAMPLES, Replicates
from evaluation.claim import Claim
from evaluation.point import points
from evaluation.results import Measured, Results
from evaluation.sweep import Sweep, SweepProblems
from evaluation.verdict import as_markdown, findings, verdict
from guidance.models.base import Model

NOISE = np.random.default_rng(0).normal(0, 1, (4, RESAMPLES))


def results(*fids: float, spread: float = 0.1) -> Results:
    """A curve over w = 1, 2, ... with these FIDs."""
    found = {
        f"cfg w={place}": Measured(
            f"cfg w={place}", {"fid": Replicates(fid, fid + spread * NOISE[place])}, 100, "cfg", "w", float(place)
        )
        for place, fid in enumerate(fids)
    }
    return Results("a", "", found, {}, None, {})


def claim(*expected: dict[str, Any]) -> Claim:
    each = [{"metric": "fid", "of": "cfg"} | one for one in expected]
    return Claim.model_validate({"paper": "A 2020", "says": "It helps.", "expect": each})


def decided(found: Results, *expected: dict[str, Any]) -> str:
    return verdict(findings(claim(*expected), found))


def test_an_optimum_is_interior_where_it_beats_both_ends() -> None:
    assert decided(results(9, 5, 8), {"optimum": "interior"}) == "reproduced"
    assert decided(results(5, 6, 8), {"optimum": "interior"}) == "not reproduced"
    assert decided(results(9, 5, 5.01), {"optimum": "interior"}) == "not reproduced", "the last is as good"


def test_a_curve_stands_for_its_best_point() -> None:
    [one] = findings(claim({"below": "cfg w=0"}), results(9, 5, 8))
    assert one.said == "FID of cfg w=1 (best of its curve) is below that of cfg w=0"
    assert one.differences[0].value == pytest.approx(4)


def test_a_curve_may_stand_for_its_best_point_by_another_metric() -> None:
    found = results(9, 5, 8)
    for point, spent in zip(found.points.values(), (10.0, 30.0, 20.0), strict=True):
        point.measures["evaluations"] = Replicates(spent, np.full(RESAMPLES, spent))
    asked = {"metric": "evaluations", "below": "cfg w=2"}
    [cheapest] = findings(claim(asked), found)
    assert cheapest.said == "evaluations of cfg w=0 (best of its curve) is below that of cfg w=2"
    [best] = findings(claim(asked | {"best_by": "fid"}), found)
    assert best.said == "evaluations of cfg w=1 (best FID of its curve) is below that of cfg w=2"
    assert best.contradicted


def test_a_trend_is_from_the_first_to_the_last() -> None:
    assert decided(results(5, 9, 8), {"trend": "rising"}) == "reproduced"
    assert decided(results(5, 9, 8), {"trend": "falling"}) == "not reproduced"


def test_what_holds_in_part_is_mixed() -> None:
    assert decided(results(5, 9, 8), {"trend": "rising"}, {"of": "cfg w=0", "above": "cfg w=1"}) == "mixed"


def test_what_the_images_do_not_decide_does_not_hold() -> None:
    [one] = findings(claim({"of": "cfg w=0", "below": "cfg w=1"}), results(5, 5.1, spread=1))
    assert not one.holds
    assert not one.contradicted
    assert "undecided" in as_markdown(claim({"of": "cfg w=0", "below": "cfg w=1"}), results(5, 5.1, spread=1))


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"metric": "fide", "trend": "rising"}, "metric = 'fide': there are fid"),
        ({}, "there is none"),
        ({"trend": "rising", "below": "a"}, "there is below and trend"),
        ({"trend": "rising", "best_by": "recall"}, "best_by = 'recall': goes with below and above; there is trend"),
        ({"below": "a", "best_by": "fide"}, "best_by = 'fide': there are fid"),
        ({"below": "a", "best_by": "chroma"}, "best_by = 'chroma': neither way is better"),
    ],
)
def test_an_expectation_says_one_thing_of_a_metric_there_is(expected: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        claim(expected)


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"below": "apg"}, "'apg': the points are cfg w=1, cfg w=2"),
        ({"trend": "rising", "of": "cfg w=1"}, "'cfg w=1': the points are"),
        ({"optimum": "interior"}, "'cfg' has 2 points: 3 are the fewest for optimum"),
        ({"metric": "psnr", "above": "cfg w=1"}, "'cfg': psnr is of points with a source"),
    ],
)
def test_what_the_points_cannot_decide_is_refused(model: Model, expected: dict[str, Any], said: str) -> None:
    points_of = [{"name": "cfg", "guidance": {"schedule": {"type": "constant"}}, "weight": [1, 2]}]
    tree = {"name": "a", "points": points_of, "claim": claim(expected).model_dump()}
    with pytest.raises(SweepProblems, match=f"claim/expect/0: {said}"):
        points(Sweep.model_validate(tree), {"shapes": model.info})
