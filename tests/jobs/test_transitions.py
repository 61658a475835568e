"""Any order of calls, with old tokens too: terminal states are final, events have no gap, nothing follows `done`."""

from __future__ import annotations

import time
from typing import cast

from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test
from hypothesis.strategies import sampled_from

from jobs import keys
from jobs.events import read_events
from jobs.leases import Leases
from jobs.record import TERMINAL, Record, Status
from jobs.store import JobStore
from tests.jobs.requests import a_request

REQUEST = a_request()


class Generations(RuleBasedStateMachine):
    """Two generations against a model that knows each one's state and whose token counts."""

    ids = Bundle("ids")
    tokens = Bundle("tokens")
    store: JobStore

    def __init__(self) -> None:
        super().__init__()
        self.status: dict[str, Status] = {}
        self.current: dict[str, str] = {}
        self.attempts: dict[str, int] = {}
        self.losses: dict[str, int] = {}
        self.leases = Leases(self.store.redis, self.store.settings)
        self.store.redis.hset(keys.ROUNDS, mapping={"last": time.time(), "patient_until": 0})
        self.ended: dict[str, Record | None] = {}

    @rule(target=ids)
    def create(self) -> str:
        id = self.store.create(REQUEST).id
        self.status[id], self.attempts[id], self.losses[id] = Status.QUEUED, 0, 0
        return id

    @rule(id=ids, target=tokens)
    def start(self, id: str) -> object:
        attempt = self.store.start(id, "worker")
        assert (attempt is not None) == (self.status[id] == Status.QUEUED)
        if attempt is None:
            return multiple()
        self.attempts[id] += 1
        assert attempt.number == self.attempts[id]
        self.status[id], self.current[id] = Status.RUNNING, attempt.token
        return attempt.token

    @rule(id=ids, token=tokens)
    def progress(self, id: str, token: str) -> None:
        done = self.store.progress(id, token, step=1, steps=2, nfe_done=1, nfe_total=2)
        assert done == self.runs(id, token)

    @rule(id=ids, token=tokens)
    def preview(self, id: str, token: str) -> None:
        assert self.store.event(id, token, "preview", {"index": 0}) == self.runs(id, token)

    @rule(id=ids, token=tokens, status=sampled_from([Status.SUCCEEDED, Status.FAILED, Status.CANCELED]))
    def finish(self, id: str, token: str, status: Status) -> None:
        repeated = self.current.get(id) == token and self.status[id] == status
        runs = self.runs(id, token)
        assert self.store.finish(id, token, status) == (runs or repeated)
        if runs:
            self.end(id, status)

    @rule(id=ids)
    def cancel(self, id: str) -> None:
        self.store.cancel(id)
        if self.status[id] == Status.QUEUED:
            self.end(id, Status.CANCELED)

    @rule(id=ids, token=tokens)
    def hand_back(self, id: str, token: str) -> None:
        asked = self.asked(id)
        runs = self.runs(id, token)
        assert self.store.hand_back(id, token) == runs
        if runs and asked:
            self.end(id, Status.CANCELED)
        elif runs:
            self.status[id] = Status.QUEUED
            del self.current[id]

    @rule(id=ids)
    def lose(self, id: str) -> None:
        """Its worker falls silent, for longer than its lease."""
        asked = self.asked(id)
        self.store.redis.zadd(keys.LEASES, {id: 1.0}, xx=True)
        lost = self.leases.reap()
        assert lost == ([id] if self.status[id] == Status.RUNNING else [])
        if not lost:
            return
        self.losses[id] += 1
        if asked:
            self.end(id, Status.CANCELED)
        elif self.losses[id] == self.store.settings.max_attempts:
            self.end(id, Status.FAILED)
        else:
            self.status[id] = Status.QUEUED
            del self.current[id]

    @rule(id=ids, token=tokens)
    def attend(self, id: str, token: str) -> None:
        stop = self.leases.attend({token: id}).stop
        assert stop == (set() if self.runs(id, token) and not self.asked(id) else {token})

    def asked(self, id: str) -> bool:
        record = self.store.get(id)
        return record is not None and record.cancel_requested is not None

    def runs(self, id: str, token: str) -> bool:
        return self.status[id] == Status.RUNNING and self.current[id] == token

    def end(self, id: str, status: Status) -> None:
        self.status[id] = status
        self.ended[id] = self.store.get(id)

    @invariant()
    def records_are_as_modelled(self) -> None:
        for id, status in self.status.items():
            record = self.store.get(id)
            assert record is not None
            assert (record.status, record.attempts) == (status, self.attempts[id])
            assert record.terminal == (id in self.ended)
            if id in self.ended:
                assert record == self.ended[id]

    @invariant()
    def events_agree_with_records(self) -> None:
        for id, status in self.status.items():
            events = read_events(self.store.redis, id)
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert [event.type for event in events].count("done") == (status in TERMINAL)
            told = [event for event in events if event.type in ("status", "done")][-1]
            assert told.data["status"] == status
            assert (events[-1].type == "done") == (status in TERMINAL)

    @invariant()
    def indexes_agree_with_records(self) -> None:
        states = list(self.status.values())
        assert self.store.counts() == {status: states.count(status) for status in Status}
        running = {id for id, status in self.status.items() if status == Status.RUNNING}
        leased = cast(list[bytes], self.store.redis.zrange(keys.LEASES, 0, -1))
        held = cast(set[bytes], self.store.redis.smembers(f"{keys.HELD}:worker"))
        assert {id.decode() for id in leased} == {id.decode() for id in held} == running

    def teardown(self) -> None:
        self.store.redis.flushall()


def test_any_order_of_calls(store: JobStore) -> None:
    run_state_machine_as_test(
        type("Bound", (Generations,), {"store": store}),
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
