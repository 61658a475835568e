"""Histograms in a flat hash of numbers."""

from __future__ import annotations

from collections import Counter

from jobs.totals import SECONDS, histogram, labelled, observed


def test_observations_come_back_as_cumulative_buckets_by_label() -> None:
    totals: Counter[str] = Counter()
    for label, seconds in (("a", 0.05), ("a", 0.051), ("a", 1e6), ("b:c", 3.0), ("b:c", -1.0)):
        totals.update(observed("run_seconds", label, seconds))
    found = {label: (dict(buckets), total) for label, buckets, total in histogram("run_seconds", totals)}
    assert found.keys() == {"a", "b:c"}
    buckets, total = found["a"]
    assert list(buckets) == [*(str(float(bound)) for bound in SECONDS), "+Inf"]
    assert (buckets["0.05"], buckets["0.1"], buckets["3600.0"], buckets["+Inf"]) == (1, 2, 2, 3)
    assert total == 0.05 + 0.051 + 1e6
    assert found["b:c"][0]["0.05"] == 1, "a clock that went back counts as no time"


def test_a_total_is_found_by_its_name_and_not_by_what_begins_with_it() -> None:
    assert dict(labelled("error", {"error:a": 1, "error:b:c": 2, "errors:d": 3, "error": 4})) == {"a": 1, "b:c": 2}
