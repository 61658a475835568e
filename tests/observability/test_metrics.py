"""docs/metrics.md and what gateway and worker expose agree."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.observability.conftest import Left
from tests.observability.page import PAGE, Described, documented


def exposed(text: str) -> Described:
    found: Described = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith("guidepost_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            found[name] = (family.type, labels)
    return found


@pytest.mark.parametrize("process", ["gateway", "worker"])
def test_the_page_names_what_is_exposed(left: Left, process: str) -> None:
    page, there_is = documented(process), exposed(left.metrics[process])
    assert page.keys() == there_is.keys()
    for name, (kind, labels) in there_is.items():
        assert page[name][0] == kind, name
        assert not labels or page[name][1] == labels, name  # one that has counted nothing yet shows no labels


def test_queries_of_the_page_name_metrics_that_there_are(left: Left) -> None:
    families = [family for text in left.metrics.values() for family in text_string_to_metric_families(text)]
    samples = {family.name for family in families} | {sample.name for one in families for sample in one.samples}
    named = set(re.findall(r"guidepost_\w+", PAGE))
    suffixes = ("", "_bucket", "_sum", "_count", "_total")
    unknown = {name for name in named if not any(name.removesuffix(suffix) in samples for suffix in suffixes)}
    assert not unknown


def test_the_service_counts_what_the_generation_took(left: Left) -> None:
    lines = left.metrics["gateway"].splitlines()
    for expected in (
        'guidepost_method_evaluations_total{method="cfg",stage="combiner"} 20.0',
        'guidepost_method_evaluations_total{method="ddim",stage="sampler"} 20.0',
        'guidepost_generation_wait_seconds_count{model="gaussians"} 1.0',
        'guidepost_generation_run_seconds_bucket{le="+Inf",model="gaussians"} 1.0',
        "guidepost_queue_evaluations 0.0",
        "guidepost_queue_oldest_seconds 0.0",
    ):
        assert expected in lines, expected


def test_the_worker_counts_its_forwards_rows_and_steps(left: Left) -> None:
    lines = left.metrics["worker"].splitlines()
    for expected in (
        "guidepost_engine_forward_seconds_count 5.0",
        'guidepost_engine_batch_rows_bucket{le="2.0"} 0.0',
        'guidepost_engine_batch_rows_bucket{le="4.0"} 5.0',
        "guidepost_engine_batch_rows_sum 20.0",
        "guidepost_engine_steps_total 10.0",
        "guidepost_engine_splits_total 0.0",
        "guidepost_engine_generations 0.0",
    ):
        assert expected in lines, expected
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)
