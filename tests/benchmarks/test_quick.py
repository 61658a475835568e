"""The whole benchmark at quick size: its report is complete and its images are exact. Speeds are not looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.catalogue import NAMES

SERVED = ["service", "gateway", "scale_out"]
IN_PROCESS = [name for name in NAMES if name not in SERVED]


def report(folder: Path, output: Path, *names: str) -> dict[str, Any]:
    only = [word for name in names for word in ("--only", name)]
    assert main(["--quick", "--model", str(folder), "--output", str(output), "--device", "cpu", *only]) == 0
    document: dict[str, Any] = json.loads((output / "report.json").read_text())
    return document


@pytest.fixture(scope="module")
def document(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return report(folder, tmp_path_factory.mktemp("report"), *IN_PROCESS)


def figures(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [figure for section in document["benchmarks"].values() for figure in section["figures"]]


def test_the_report_says_where_it_was_measured(document: dict[str, Any]) -> None:
    assert {"processor", "commit", "torch", "diffusers", "threads", "load before", "load after"} <= set(
        document["machine"]
    )


def test_every_chosen_benchmark_has_figures(document: dict[str, Any]) -> None:
    assert list(document["benchmarks"]) == IN_PROCESS
    assert all(section["figures"] for section in document["benchmarks"].values())


def answered(document: dict[str, Any]) -> set[str]:
    return {figure["id"] for figure in document["summary"]}


def test_the_summary_answers_every_question_that_needs_no_service(document: dict[str, Any]) -> None:
    assert answered(document) >= {"R1", "R2", "R3", "R5", "R6", "R7", "R8", "R9", "R10"}


def test_every_figure_has_its_spread(document: dict[str, Any]) -> None:
    for figure in figures(document):
        assert figure["min"] <= figure["quartiles"][0] <= figure["median"] <= figure["quartiles"][1] <= figure["max"]
        assert figure["min"] <= figure["result"] <= figure["max"]


def test_ratios_are_positive(document: dict[str, Any]) -> None:
    assert all(figure["min"] > 0 for figure in figures(document) if figure["unit"] == "x")


def test_forwards_are_a_part_of_the_engines_time(document: dict[str, Any]) -> None:
    ticks, wall = document["benchmarks"]["busy"]["figures"]
    assert 0 < wall["median"] < ticks["median"] < 1


def test_no_byte_differs(document: dict[str, Any]) -> None:
    assert [figure["median"] for figure in document["benchmarks"]["exactness"]["figures"]] == [0, 0]


@pytest.mark.slow
@pytest.mark.redis
def test_the_service_is_measured_end_to_end(folder: Path, tmp_path: Path) -> None:
    measured = report(folder, tmp_path, "service")
    assert answered(measured) == {"R4", "R9"}
    share, added, trivial, _ = measured["benchmarks"]["service"]["figures"]
    assert (share["unit"], added["unit"], trivial["unit"]) == ("x", "ms", "ms")
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "report.json", "report.png", "service.log"}


@pytest.mark.slow
@pytest.mark.redis
def test_the_gateway_is_measured_beside_a_bare_one(folder: Path, tmp_path: Path) -> None:
    section = report(folder, tmp_path, "gateway")["benchmarks"]["gateway"]
    creates, new, polls, *trips = section["figures"]
    assert {figure["unit"] for figure in (creates, new, polls)} == {"x"}
    assert len(trips) == 2
    assert len(section["tables"]) == 4


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--model", str(tmp_path / "none"), "--output", str(tmp_path)]) == 1
    assert "none is not a folder" in capsys.readouterr().err
