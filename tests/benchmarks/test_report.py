"""The summary: answers in the order of their questions, with result, goal and verdict."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figure import Curve, Figure, Goal, Section
from benchmarks.report import Report

SECTIONS = {
    "second": Section([Figure("wait", [1, 1, 5], "steps", Goal(2, at_most=True), "R10", 0.99), Figure("aside", [3])]),
    "first": Section(
        [Figure("gain", [1.5, 2.0, 1.6], goal=Goal(1.25), id="R2")], curves=[Curve("c", [(1, 2), (3, 4)])]
    ),
    "broken": Section(failure="not measured: OSError: no"),
}
REPORT = Report({"torch": "2"}, dict.fromkeys(SECTIONS, "about it"), SECTIONS, dict.fromkeys(SECTIONS, 1.0))


def test_answers_are_in_the_order_of_the_questions() -> None:
    assert [figure.id for figure in REPORT.answers] == ["R2", "R10"]


def test_the_summary_comes_first_and_says_what_was_met() -> None:
    lines = REPORT.markdown().splitlines()
    assert lines[4] == "| R2 | gain | 1.6 x | 1.5 to 2 | 3 | ≥ 1.25 | met |"
    assert lines[5] == "| R10 | wait | p99 4.92 steps | 1 to 5 | 3 | ≤ 2 | missed |"


def test_what_could_not_be_measured_says_so_and_fails_the_run() -> None:
    assert "not measured: OSError: no" in REPORT.markdown()
    assert REPORT.failed


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    REPORT.write(tmp_path)
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
