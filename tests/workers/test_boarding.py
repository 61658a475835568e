"""Requests that are being prepared while a tick begins."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import workers.engine
from tests.workers.conftest import MakeTask, run_to_end
from workers.engine import Engine
from workers.flight import Flight
from workers.task import Progress, Task


@contextmanager
def being_prepared(engine: Engine, task: Task, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """In the middle of it, in a thread of its own, until the event is set."""
    begun, go_on, prepare = threading.Event(), threading.Event(), engine._boarding._flight

    def slowly(*given: object) -> Flight:
        begun.set()
        go_on.wait()
        return prepare(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(engine._boarding, "_flight", slowly)
    thread = threading.Thread(target=engine.submit, args=(task,))
    thread.start()
    begun.wait()
    try:
        yield go_on
    finally:
        go_on.set()
        thread.join()


def steps(task: Task) -> list[int]:
    told = [task.updates.get() for _ in range(task.updates.qsize())]
    return [update.step for update in told if isinstance(update, Progress)]


def test_a_tick_waits_for_who_is_being_prepared(
    engine: Engine, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.engine, "BOARDING_SECONDS", 60)
    engine.submit(make_task("old"))
    new, wait = make_task("new"), engine._boarding.wait
    with being_prepared(engine, new, monkeypatch) as go_on:

        def waiting(seconds: float) -> None:
            go_on.set()
            wait(seconds)

        monkeypatch.setattr(engine._boarding, "wait", waiting)
        engine.tick()
        assert steps(new) == [1]
    run_to_end(engine, [])


def test_a_tick_waits_for_no_longer_than_it_is_worth(
    engine: Engine, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = make_task("old"), make_task("new")
    engine.submit(old)
    with being_prepared(engine, new, monkeypatch):
        engine.tick()
        assert steps(old) == [1] and steps(new) == []
    run_to_end(engine, [])
