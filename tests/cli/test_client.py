"""The client against scripted replies: events, resumption, problems."""

from collections.abc import Iterator

import httpx
import pytest

from cli.client import Event, Refused, Service, parse

JOB = {"links": {"events": "/v1/generations/1/events"}}


def scripted(*replies: httpx.Response | httpx.TransportError) -> tuple[Service, list[httpx.Request]]:
    """A service that gives these replies in turn, and the requests it was asked."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        reply = replies[len(asked) - 1]
        if isinstance(reply, httpx.Response):
            return reply
        raise reply

    service = Service("http://service")
    service.http = httpx.Client(base_url="http://service", transport=httpx.MockTransport(answer))
    return service, asked


def events(text: str) -> httpx.Response:
    return httpx.Response(200, text=text)


class Cut(httpx.SyncByteStream):
    """A body that breaks off."""

    def __iter__(self) -> Iterator[bytes]:
        yield b'id: 1\ndata: {"type": "step"}\n\n'
        raise httpx.ReadError("cut")


def test_events_are_read_past_comments_and_hints() -> None:
    lines = 'retry: 2000\n\n: beat\n\nid: 4\nevent: step\ndata: {"type": "step"}\n\n'.splitlines()
    assert list(parse(iter(lines))) == [Event("4", {"type": "step"})]


def test_a_broken_stream_is_resumed_after_its_last_event() -> None:
    service, asked = scripted(
        httpx.Response(200, stream=Cut()), events('id: 2\ndata: {"type": "done"}\n\nid: 3\ndata: {"type": "late"}\n\n')
    )
    assert [event["type"] for event in service.follow(JOB)] == ["step", "done"]
    assert asked[1].headers["last-event-id"] == "1"


def test_a_service_that_stays_away_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    service, _ = scripted(*[httpx.ConnectError("away")] * 6)
    with pytest.raises(httpx.ConnectError):
        list(service.follow(JOB))


def test_a_problem_is_told_by_its_places() -> None:
    problem = {
        "title": "The request is not valid",
        "status": 422,
        "detail": "1 error",
        "errors": [{"pointer": "/seed", "code": "less_than", "detail": "must be at least 0"}],
    }
    service, _ = scripted(httpx.Response(422, json=problem))
    with pytest.raises(Refused) as refused:
        service.submit({})
    assert list(refused.value.lines()) == ["The request is not valid", "  /seed: must be at least 0"]


def test_a_failure_without_a_problem_document_is_told_too() -> None:
    service, _ = scripted(httpx.Response(502, text="bad gateway"))
    with pytest.raises(Refused, match="status 502"):
        service.get("/v1/models")


def test_the_key_of_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with Service("http://service") as service:
        assert "authorization" not in service.http.headers
    monkeypatch.setenv("GUIDEPOST_API_KEY", "gp_1_2")
    with Service("http://service") as service:
        assert service.http.headers["authorization"] == "Bearer gp_1_2"


def test_nobody_answers_where_nobody_listens() -> None:
    with Service("http://127.0.0.1:9") as service:
        assert not service.answers()
