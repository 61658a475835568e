"""Alerts, dashboard and autoscaling ask for metrics that there are, by labels that these have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml

from tests.deploy.image import ROOT
from tests.deploy.kustomization import KUBERNETES, documents
from tests.observability.page import documented

PROMETHEUS = ROOT / "deploy" / "prometheus"
METRICS = documented("gateway") | documented("worker")
SCRAPED = {"instance", "job"}
SUFFIXES = {"counter": {""}, "gauge": {""}, "summary": {"_sum", "_count"}, "histogram": {"_bucket", "_sum", "_count"}}
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
[RULES] = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text())["groups"]
ALERTS: list[dict[str, Any]] = RULES["rules"]
BOARD = json.loads((ROOT / "deploy" / "grafana" / "guidepost.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """Where it stands, and the query."""
    for alert in ALERTS:
        yield alert["alert"], alert["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    [scaled] = documents(KUBERNETES / "components" / "autoscaling" / "scaledobject.yaml")
    yield "ScaledObject", scaled["spec"]["triggers"][0]["metadata"]["query"]


def labels_of(name: str) -> set[str]:
    """Of the series `name`; fails where no process exposes it."""
    if name.startswith("process_"):
        return SCRAPED
    for metric, (kind, labels) in METRICS.items():
        if name in {metric + suffix for suffix in SUFFIXES[kind]}:
            return labels | SCRAPED | ({"le"} if kind == "histogram" else set())
    raise AssertionError(f"no process exposes {name}")


def named(expression: str) -> tuple[set[str], set[str]]:
    """The series of a query, and the labels that it groups or matches by."""
    series: set[str] = set()
    labels: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            series.add(str(node.name))
            labels.update(matcher.name for matcher in node.matchers.matchers)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            labels.update(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return series, labels


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_queries_ask_for_what_is_exposed(where: str, expression: str) -> None:
    series, labels = named(expression)
    assert series
    assert labels <= set.union(*(labels_of(name) for name in series))


def test_every_metric_of_the_service_is_looked_at_somewhere() -> None:
    seen = set.union(*(named(expression)[0] for _, expression in expressions()))
    for metric, (kind, _) in METRICS.items():
        assert any(metric + suffix in seen for suffix in SUFFIXES[kind]), f"{metric} is in no alert and on no panel"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_says_what_is_and_has_a_page_on_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    annotations = alert["annotations"]
    assert annotations["summary"] and annotations["description"]
    page, _, anchor = annotations["runbook_url"].partition("#")
    assert page == "docs/operations.md" and anchor == alert["alert"].lower()
    [section] = re.findall(rf"^### {alert['alert']}\n(.*?)(?=^##|\Z)", OPERATIONS, flags=re.DOTALL | re.MULTILINE)
    assert len(section.split()) > 30


def test_no_page_is_about_an_alert_that_there_is_not() -> None:
    assert re.findall(r"^### (Guidepost\w+)", OPERATIONS, flags=re.MULTILINE) == [alert["alert"] for alert in ALERTS]


def test_a_label_that_an_alert_shows_is_one_that_it_keeps() -> None:
    for alert in ALERTS:
        shown = set(re.findall(r"\$labels\.(\w+)", json.dumps(alert["annotations"])))
        assert shown <= named(alert["expr"])[1] | ({"instance"} if "by" not in alert["expr"] else set())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="runs Prometheus' own checks")
def test_promtool_agrees() -> None:
    for words in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        done = subprocess.run(["promtool", *words], cwd=PROMETHEUS, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_panel_says_what_it_shows_and_no_two_overlap() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and place["x"] + place["w"] <= 24
        taken |= cells
    for panel in PANELS:
        assert panel["title"] and len(panel["description"].split()) >= 3, panel["title"]
        assert all(target["datasource"]["uid"] == "${source}" for target in panel["targets"])
        for target in panel["targets"]:
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert shown <= named(target["expr"])[1] | SCRAPED


def test_the_scrapes_are_of_ports_that_compose_opens() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    jobs = {
        job["job_name"]: job for job in yaml.safe_load((PROMETHEUS / "prometheus.yaml").read_text())["scrape_configs"]
    }
    assert jobs["guidepost-gateway"]["static_configs"] == [{"targets": ["gateway:8000"]}]
    [workers] = jobs["guidepost-worker"]["dns_sd_configs"]
    for name in workers["names"]:
        assert services[name]["environment"]["GUIDEPOST_METRICS_PORT"] == workers["port"]
