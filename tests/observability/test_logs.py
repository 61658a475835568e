"""What gateway and worker log of one request, as processes."""

from __future__ import annotations

from tests.observability.conftest import SECRET, TRACE, Left

IDS = {"request_id", "generation_id", "trace_id"}


def ids(line: dict[str, object]) -> dict[str, object]:
    return {name: line[name] for name in IDS & line.keys()}


def test_every_line_about_a_generation_names_it_its_request_and_its_trace(left: Left) -> None:
    expected = {"request_id": "request-1", "generation_id": left.id, "trace_id": TRACE}
    assert left.answered.headers["X-Request-Id"] == "request-1"
    [request] = [line for line in left.said("gateway", "request") if line["method"] == "POST" and line["status"] == 200]
    [started], [ended] = left.said("worker", "generation started"), left.said("worker", "generation ended")
    assert [ids(line) for line in (request, started, ended)] == [expected] * 3


def test_the_end_of_a_generation_is_logged_with_what_it_took(left: Left) -> None:
    [ended] = left.said("worker", "generation ended")
    assert (ended["status"], ended["evaluations"], ended["level"]) == ("succeeded", 20, "INFO")
    assert ended["seconds"] > 0


def test_a_request_is_one_line_with_its_route_and_not_its_path(left: Left) -> None:
    lines = left.said("gateway", "request")
    assert [(line["method"], line["route"], line["status"], line.get("code")) for line in lines] == [
        ("POST", "/v1/generations", 200, None),
        ("POST", "/v1/generations", 422, "unsupported"),
        ("GET", "", 404, "not_found"),
        ("GET", "/v1/generations/{id}", 200, None),
        ("GET", "/v1/generations/{id}/images/{index}", 200, None),
        ("GET", "/v1/generations/{id}/events", 200, None),
        ("GET", "/metrics", 200, None),
    ]
    assert [line["level"] for line in lines][-2:] == ["INFO", "DEBUG"]
    assert {line.get("generation_id") for line in lines[3:6]} == {left.id}


def test_the_request_id_in_a_problem_its_header_and_the_log_are_one(left: Left) -> None:
    [line] = [line for line in left.said("gateway", "request") if line["status"] == 422]
    assert line["request_id"] == left.refused.headers["X-Request-Id"] == left.refused.json()["request_id"]


def test_no_secret_is_in_a_log_at_the_most_talkative_level(left: Left) -> None:
    for process, log in left.logs.items():
        assert log, process
        assert SECRET not in log, process
