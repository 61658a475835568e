"""Results on their way to files and back: numbers by name, differences, tables, fronts, plots."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.bootstrap import RESAMPLES, Replicates
from evaluation.forest import BETTER, OPEN, forest
from evaluation.metric import METRICS
from evaluation.pareto import front
from evaluation.plots import MARKERS, plots, trade_offs
from evaluation.results import Measured, Results
from evaluation.sheet import sheet
from evaluation.sweep import Plot
from evaluation.tables import as_csv, as_markdown

COMMON = np.random.default_rng(0).normal(0, 1, RESAMPLES)


def point(name: str, curve: str, x: float | None, fid: float) -> Measured:
    measures = {name: Replicates(0.5, 0.5 + 0.01 * COMMON) for name in METRICS}
    measures["fid"] = Replicates(fid, fid + COMMON)
    return Measured(name, measures, 100, curve, "w" if x is not None else "", x, asked={"model": "shapes"})


@pytest.fixture
def results() -> Results:
    points = [point("cfg w=3", "cfg", 3.0, 8.0), point("cfg w=1", "cfg", 1.0, 9.0), point("apg", "apg", None, 8.5)]
    ends = {"real": Measured("real", {"fid": Replicates(0.5, 0.5 + COMMON)}, 100)}
    made = {"images": 100, "reference": 1000, "guidepost": "0", "torch": "0", "device": "cpu", "size": "quick"}
    return Results("a", "About.", {one.name: one for one in points}, ends, "cfg w=1", made)


def test_a_point_has_its_metrics_by_name_with_their_intervals(results: Results) -> None:
    one = results.points["cfg w=3"]["fid"]
    assert one.value == 8.0
    assert one.low < 6.5 < 9.5 < one.high
    assert results.points["cfg w=3"]["coverage"].high <= 1
    with pytest.raises(KeyError):
        results.ends["real"]["seconds"]


def test_an_interval_does_not_leave_what_is_possible(results: Results) -> None:
    low_fid = results.ends["real"]["fid"]
    assert low_fid.low == 0


def test_a_difference_is_of_pairs(results: Results) -> None:
    apart = results.difference("cfg w=3", "cfg w=1", "fid")
    assert (apart.value, apart.low, apart.high) == pytest.approx((-1, -1, -1)), "the same noise is in both"


def test_curves_are_in_order_and_know_their_best(results: Results) -> None:
    assert [one.x for one in results.curves["cfg"]] == [1.0, 3.0]
    assert results.best("cfg", "fid").name == "cfg w=3"


def test_results_come_back_from_their_folder(results: Results, tmp_path: Path) -> None:
    results.save(tmp_path)
    again = Results.load(tmp_path)
    assert again.points["apg"].estimates() == results.points["apg"].estimates()
    assert again.difference("apg", "cfg w=1", "fid") == results.difference("apg", "cfg w=1", "fid")
    assert again.points["cfg w=3"].asked == {"model": "shapes"}
    tree = json.loads((tmp_path / "report.json").read_text())
    assert tree["points"]["apg"]["metrics"]["fid"][0] == 8.5
    assert tree["metrics"]["fid"]["better"] == "lower"


def test_the_csv_has_a_line_for_each_number(results: Results) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(results))))
    assert len(rows) == 3 * len(METRICS) + 1
    [fid] = [row for row in rows if (row["point"], row["metric"]) == ("apg", "fid")]
    assert (fid["value"], fid["x"], fid["images"]) == ("8.5", "", "100")


def test_the_page_has_the_best_in_bold_and_differences_that_are_clear(results: Results) -> None:
    page = as_markdown(results)
    assert "| cfg w=3 | **8.00** (" in page
    assert "| apg | 8.50 (" in page
    assert "| cfg w=3 | **-1.00** (-1.00 to -1.00) |" in page
    assert "| *real* | 0.50 (0.00 to" in page


def test_a_front_is_what_nothing_beats_in_both() -> None:
    points = [(1.0, 5.0), (2.0, 3.0), (3.0, 4.0), (4.0, 1.0), (4.0, 2.0)]
    assert front(points, (-1, -1)) == [(1.0, 5.0), (2.0, 3.0), (4.0, 1.0)]
    assert front(points, (1, 1)) == [(1.0, 5.0), (3.0, 4.0), (4.0, 2.0)]


def test_equal_points_are_on_the_front_together() -> None:
    assert front([(1.0, 1.0), (1.0, 1.0)], (1, 1)) == [(1.0, 1.0)]


def test_what_is_traded_is_what_is_asked_for(results: Results) -> None:
    def said(*asked: Plot) -> list[tuple[str, str]]:
        return [(panel.get_xlabel(), panel.get_ylabel()) for panel in trade_offs(results, asked).axes]

    fid, recall = "FID (lower is better)", "recall (higher is better)"
    assert said(Plot(x="fid", y="recall")) == [(fid, recall)]
    assert said() == [("Inception Score (higher is better)", fid), (recall, "precision (higher is better)")]


def test_a_metric_may_be_plotted_along_what_varies(results: Results) -> None:
    [panel] = trade_offs(results, [Plot(y="recall")]).axes
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("w", "recall (higher is better)")
    drawn = {
        line.get_label(): np.asarray(line.get_xdata()).tolist()
        for line in panel.lines
        if line.get_label() in results.curves
    }
    assert drawn == {"cfg": [1.0, 3.0], "apg": [0, 1]}, "a single point is a level line, from edge to edge"


def test_points_are_joined_in_order_where_one_thing_varies(results: Results) -> None:
    def joined() -> dict[str, bool]:
        [panel] = trade_offs(results, [Plot(x="fid", y="recall")]).axes
        marked = [line for line in panel.lines if str(line.get_marker()) in MARKERS]
        return {
            str(bars.get_label()): line.get_linestyle() == "-"
            for bars, line in zip(panel.containers, marked, strict=True)
        }

    assert joined() == {"cfg": True, "apg": False}
    results.points["cfg w=3, phi=1"] = point("cfg w=3, phi=1", "cfg", 3.0, 7.0)
    assert joined() == {"cfg": False, "apg": False}


def test_numbers_stand_beside_their_points(results: Results) -> None:
    [panel] = trade_offs(results, [Plot(x="fid", y="recall")]).axes
    assert {one.get_text() for one in panel.texts} >= {"1", "3"}
    assert all(one.get_position() != (0, 0) for one in panel.texts), "nobody put them anywhere"


def test_twenty_curves_can_be_told_apart(results: Results) -> None:
    many = [point(f"c{place}", f"c{place}", None, place) for place in range(20)]
    results.points.clear()
    results.points.update({one.name: one for one in many})
    [panel] = trade_offs(results, [Plot(x="fid", y="recall")]).axes
    drawn = {(line.get_color(), line.get_marker()) for line in panel.lines if str(line.get_marker()) in MARKERS}
    assert len(drawn) == 20


def test_a_forest_tells_better_from_worse_and_from_neither(results: Results) -> None:
    panels = {panel.get_title(): panel for panel in forest(results, ("fid", "accuracy")).axes}
    rows = [label.get_text() for label in panels["FID"].get_yticklabels()]
    assert rows == ["cfg w=3", "apg"], "the baseline is what they are compared with"
    assert [line.get_color() for line in panels["FID"].lines[:4:2]] == [BETTER, BETTER]
    assert [line.get_color() for line in panels["captions right"].lines[:4:2]] == [OPEN, OPEN]


def test_a_forest_without_a_baseline_is_refused(results: Results) -> None:
    with pytest.raises(ValueError, match="a has baseline = None"):
        forest(replace(results, baseline=None))


def test_plots_and_sheet_are_pictures(results: Results, tmp_path: Path) -> None:
    paths = plots(results, tmp_path)
    assert [path.name for path in paths] == ["trade-offs.png", "pareto.png", "curves-w.png"]
    shown = np.zeros((2, 64, 64, 3), np.uint8)
    sheet({"a": shown, "b": shown}, ["one", "two"]).savefig(tmp_path / "sheet.png")
    for path in [*paths, tmp_path / "sheet.png"]:
        with Image.open(path) as image:
            assert min(image.size) > 150
