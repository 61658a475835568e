"""The checker finds every kind of broken promise, and nothing in a history that keeps them all."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.checker import check
from tests.faults.history import STORED, Accepted, Answered, Entry, Fetched, History, Refused, Told

EXPECTED = {"disc": ("a0", "a1")}
ACCEPTED = Accepted(0.0, 1.0, "job", "disc", key="key")
QUEUED = Answered(1.0, 2.0, "job", "queued")
RUNNING = Answered(3.0, 4.0, "job", "running", 1)
AGAIN = Answered(5.0, 6.0, "job", "running", 2, ("a0",))
ENDED = Answered(7.0, 8.0, "job", "succeeded", 2, ("a0", "a1"))
STILL = replace(ENDED, asked=9.0, answered=10.0)
EVENTS = (
    Told("job", 1, "status", STORED, "queued", 0),
    Told("job", 2, "status", STORED, "running", 1),
    Told("job", 3, "status", STORED, "running", 2),
    Told("job", 4, "done", STORED, "succeeded"),
)
LATE = tuple(replace(event, source="client 1") for event in EVENTS[1:])
IMAGES = (Fetched("job", 0, "a0"), Fetched("job", 1, "a1"))
GOOD: tuple[Entry, ...] = (ACCEPTED, QUEUED, RUNNING, AGAIN, ENDED, STILL, *EVENTS, *LATE, *IMAGES)


def without(*entries: Entry) -> list[Entry]:
    return [entry for entry in GOOD if entry not in entries]


def promises(history: list[Entry]) -> set[str]:
    return {violation.promise for violation in check(history, EXPECTED)}


def test_a_history_that_keeps_every_promise_has_no_violation() -> None:
    assert check(GOOD, EXPECTED) == []


BEFORE = replace(LATE[0], source="client 2")
WRONG: list[tuple[str, list[Entry]]] = [
    ("what was accepted ends", [ACCEPTED]),
    ("what was accepted ends", [ACCEPTED, QUEUED, RUNNING]),
    ("what was accepted is known", [*GOOD, Answered(11.0, 12.0, "job", "unknown")]),
    ("an end stays as it is", [*GOOD, Answered(11.0, 12.0, "job", "running", 3)]),
    ("an end stays as it is", [*GOOD, replace(STILL, attempts=3)]),
    ("an end stays as it is", [*GOOD, replace(STILL, error="worker_lost")]),
    ("an end stays as it is", [*GOOD, replace(STILL, status="canceled", images=())]),
    ("one end", [*GOOD, replace(STILL, status="canceled", images=())]),
    ("attempts only rise", [*without(AGAIN), replace(RUNNING, asked=4.5, answered=4.6, attempts=0)]),
    (
        "attempts only rise",
        [*GOOD, Told("job", 1, "status", "client 2", "running", 2), BEFORE],
    ),
    ("events have no holes", without(EVENTS[1])),
    ("events have no holes", without(EVENTS[0])),
    ("events have no holes", [*GOOD[:-2], LATE[-1]]),
    ("nothing follows done", [*GOOD, Told("job", 5, "step", STORED)]),
    ("one end", [*GOOD, Told("job", 5, "done", STORED, "succeeded")]),
    ("one end", [*without(EVENTS[3], LATE[2]), replace(EVENTS[3], status="failed")]),
    ("events stay as they are", [*without(LATE[0]), replace(LATE[0], type="step")]),
    ("events stay as they are", [*GOOD, Told("job", 7, "step", "client 2")]),
    ("the bytes are those of an undisturbed run", [*without(ENDED, STILL), replace(ENDED, images=("a0", "b1"))]),
    ("the bytes are those of an undisturbed run", [*without(AGAIN), replace(AGAIN, images=("b0",))]),
    ("the bytes are those of an undisturbed run", [*GOOD, Fetched("job", 1, "b1")]),
    ("one key, one generation", [*GOOD, Accepted(0.0, 1.0, "other", "disc", "key"), replace(STILL, id="other")]),
]


@pytest.mark.parametrize(("promise", "history"), WRONG, ids=[f"{k}-{promise}" for k, (promise, _) in enumerate(WRONG)])
def test_a_broken_promise_is_named(promise: str, history: list[Entry]) -> None:
    assert promise in promises(history)


ALLOWED: list[tuple[str, list[Entry]]] = [
    ("a slow answer overtaken by the end", [*GOOD, Answered(2.5, 20.0, "job", "queued")]),
    ("a repeated key that gives the same", [*GOOD, Accepted(2.0, 3.0, "job", "disc", "key")]),
    ("a client that was cut off", [*GOOD, Told("job", 1, "status", "client 3", "queued", 0)]),
    ("events nobody kept", [entry for entry in GOOD if not (isinstance(entry, Told) and entry.source == STORED)]),
    ("a refusal", [*GOOD, Refused(1.0, 503, "redis_away", 2)]),
    ("a failure", [ACCEPTED, Answered(2.0, 3.0, "job", "failed", 3, (), "worker_lost")]),
]


@pytest.mark.parametrize(("what", "history"), ALLOWED, ids=[what for what, _ in ALLOWED])
def test_what_may_happen_is_no_violation(what: str, history: list[Entry]) -> None:
    assert check(history, EXPECTED) == []


def test_a_history_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    with closing(History(tmp_path / "history.jsonl")) as written:
        for entry in (*GOOD, Refused(1.0, 503, "queue_full", None)):
            written.add(entry)
    assert History.read(tmp_path / "history.jsonl").entries == written.entries
