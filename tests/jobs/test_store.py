"""One generation at a time through the job store. Any order of calls: test_transitions.py."""

from __future__ import annotations

import json
import zlib

import pytest
import redis

from jobs import keys
from jobs.attempt import Attempt
from jobs.correlation import Correlation, correlated
from jobs.events import read_events
from jobs.ids import new_id
from jobs.order import Order, Terms
from jobs.record import Failure, Load, Status, StoredImage, Usage
from jobs.store import JobStore
from tests.jobs.requests import a_request

IMAGE = StoredImage(index=0, seed=7, sha256="00", width=64, height=64)


def started(store: JobStore) -> tuple[str, Attempt]:
    id = store.create(a_request(), nfe_total=4).id
    attempt = store.start(id, "worker")
    assert attempt is not None
    return id, attempt


def types(store: JobStore, id: str) -> list[str]:
    return [event.type for event in read_events(store.redis, id)]


def test_create_records_queues_and_tells(store: JobStore) -> None:
    record = store.create(a_request(), nfe_total=4)
    assert (record.status, record.steps, record.nfe_total, record.attempts) == (Status.QUEUED, 2, 4, 0)
    assert store.redis.lrange("rq:queue:guidepost", 0, -1) == [f"{record.id}-1".encode()]
    assert types(store, record.id) == ["status"]
    assert store.get(record.id) == record


@pytest.mark.parametrize("count", [1, 3])
def test_a_create_that_is_sent_twice_is_accepted_once(
    store: JobStore, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """The first answer got lost on its way."""
    ids = [new_id() for _ in range(count)]
    made = []
    for _ in range(2):
        monkeypatch.setattr("jobs.store.new_id", iter(ids).__next__)
        made.append(store.create_all([Order(a_request(), 4)] * count))
    assert made[0] == made[1]
    assert store.load() == Load(count, 4 * count)
    assert store.redis.lrange("rq:queue:guidepost", 0, -1) == [f"{id}-1".encode() for id in ids]


def test_what_was_created_is_what_is_read(store: JobStore) -> None:
    webhook = {"url": "https://example.com/hook"}
    request = a_request(webhook=webhook, n=2, metadata={"project": "é"}, priority="low")
    terms = Terms(tenant="t", cancel_after=60.0)
    with correlated(Correlation("a-request", traceparent=f"00-{'1' * 32}-{'2' * 16}-01")):
        records = store.create_all([Order(request, 8), Order(a_request(), 4)], terms)
    assert [store.get(record.id) for record in records] == records
    assert store.page().records == records[::-1]
    assert [record.position for record in records] == [1, 0]  # the second has a higher priority


def test_queue_entries_are_json(store: JobStore) -> None:
    record = store.create(a_request())
    data = store.redis.hget(f"rq:job:{record.id}-1", "data")
    assert isinstance(data, bytes)
    function, _, arguments, _ = json.loads(zlib.decompress(data))
    assert (function, arguments) == ("workers.perform.perform", [])


def test_a_worker_gets_the_request_that_was_accepted(store: JobStore) -> None:
    request = a_request(guidance={"preset": "t_norm_cosine"}, n=3, metadata={"project": "x"})
    attempt = store.start(store.create(request).id, "worker")
    assert attempt is not None
    assert attempt.request == request


def test_only_one_worker_starts_it(store: JobStore) -> None:
    id, attempt = started(store)
    assert attempt.number == 1
    assert store.start(id, "another") is None


def test_progress_is_recorded_and_told(store: JobStore) -> None:
    id, attempt = started(store)
    assert store.progress(id, attempt.token, step=1, steps=2, nfe_done=2, nfe_total=4, weight=3.0)
    record = store.get(id)
    assert record is not None
    assert (record.step, record.nfe_done) == (1, 2)
    assert read_events(store.redis, id)[-1].data == {
        "step": 1, "steps": 2, "nfe_done": 2, "nfe_total": 4, "weight": 3.0
    }  # fmt: skip


def test_steps_that_follow_closely_are_coalesced_but_the_last_is_told(store: JobStore) -> None:
    slow = JobStore(store.redis, store.settings.model_copy(update={"step_event_seconds": 3600.0}))
    id, attempt = started(slow)
    for step in range(1, 6):
        assert slow.progress(id, attempt.token, step=step, steps=5, nfe_done=step, nfe_total=5)
    told = [event.data["step"] for event in read_events(slow.redis, id) if event.type == "step"]
    assert told == [1, 5]


def test_finish_keeps_what_was_made(store: JobStore) -> None:
    id, attempt = started(store)
    usage = Usage(nfe=4, mean_batch_rows=3.5)
    assert store.finish(
        id, attempt.token, Status.SUCCEEDED, images=[IMAGE], diagnostics={"cosine_mean": 0.5}, usage=usage
    )
    record = store.get(id)
    assert record is not None
    assert record.terminal
    assert (record.images, record.usage, record.diagnostics) == ((IMAGE,), usage, {"cosine_mean": 0.5})
    assert record.queue_seconds is not None and record.queue_seconds >= 0
    assert record.run_seconds is not None and record.run_seconds >= 0
    assert types(store, id) == ["status", "status", "done"]


def test_what_ended_expires(store: JobStore) -> None:
    id, attempt = started(store)
    assert store.redis.ttl(keys.generation(id)) == -1
    store.finish(id, attempt.token, Status.SUCCEEDED)
    assert 0 < store.redis.ttl(keys.events(id)) <= store.settings.result_ttl_seconds
    assert store.settings.result_ttl_seconds < store.redis.ttl(keys.generation(id)) <= store.settings.record_ttl_seconds


def test_a_failure_says_why(store: JobStore) -> None:
    id, attempt = started(store)
    failure = Failure(code="non_finite", detail="image 0 at step 3")
    assert store.finish(id, attempt.token, Status.FAILED, reason="non_finite", error=failure)
    record = store.get(id)
    assert record is not None
    assert (record.status_reason, record.error) == ("non_finite", failure)
    assert store.counters() == {"created": 1, "finished:failed": 1, "error:non_finite": 1}


def test_only_terminal_states_finish(store: JobStore) -> None:
    id, attempt = started(store)
    with pytest.raises(ValueError, match="status = running"):
        store.finish(id, attempt.token, Status.RUNNING)


def test_a_report_sent_twice_is_accepted_twice_and_told_once(store: JobStore) -> None:
    id, attempt = started(store)
    assert store.finish(id, attempt.token, Status.SUCCEEDED)
    assert store.finish(id, attempt.token, Status.SUCCEEDED)
    assert not store.finish(id, attempt.token, Status.FAILED)
    assert types(store, id).count("done") == 1


def test_cancel_while_queued_ends_it_at_once_and_its_queue_entry_does_nothing(store: JobStore) -> None:
    id = store.create(a_request()).id
    record = store.cancel(id)
    assert record is not None
    assert (record.status, record.status_reason) == (Status.CANCELED, "user")
    assert store.start(id, "worker") is None
    assert store.load() == Load(0, 0)


def test_cancel_while_running_asks_the_worker(store: JobStore) -> None:
    id, attempt = started(store)
    record = store.cancel(id)
    assert record is not None
    assert record.status == Status.RUNNING
    assert record.cancel_requested == "user"
    assert store.finish(id, attempt.token, Status.CANCELED, reason="user")


def test_cancel_after_the_end_changes_nothing(store: JobStore) -> None:
    id, attempt = started(store)
    store.finish(id, attempt.token, Status.SUCCEEDED)
    before = store.get(id)
    assert store.cancel(id) == before


def test_unknown_ids_are_none(store: JobStore) -> None:
    unknown = "00000000-0000-7000-8000-000000000000"
    for id in (unknown, "", "../../etc/passwd"):
        assert store.get(id) is None
        assert store.cancel(id) is None
    assert store.start(unknown, "worker") is None
    assert not store.hand_back(unknown, "token")
    assert store.redis.keys("guidepost:generation*") == []


def test_hand_back_queues_it_for_another_worker(store: JobStore) -> None:
    id, attempt = started(store)
    assert store.hand_back(id, attempt.token)
    assert store.redis.lrange("rq:queue:guidepost", 0, -1) == [f"{id}-1".encode(), f"{id}-{attempt.token}".encode()]
    assert not store.progress(id, attempt.token, step=1, steps=2, nfe_done=1, nfe_total=2)
    second = store.start(id, "another")
    assert second is not None
    assert second.number == 2
    assert not store.finish(id, attempt.token, Status.FAILED)


def test_hand_back_of_what_was_to_be_canceled_cancels_it(store: JobStore) -> None:
    id, attempt = started(store)
    store.cancel(id)
    assert store.hand_back(id, attempt.token)
    record = store.get(id)
    assert record is not None
    assert record.status == Status.CANCELED


def test_pages_are_newest_first_and_joined_by_cursors(store: JobStore) -> None:
    ids = [store.create(a_request()).id for _ in range(5)]
    seen, after = [], None
    while True:
        page = store.page(limit=2, after=after)
        seen += [record.id for record in page.records]
        after = page.next_cursor
        if after is None:
            break
    assert seen == ids[::-1]


def test_pages_by_status(store: JobStore) -> None:
    waiting, (running, _) = store.create(a_request()).id, started(store)
    assert [record.id for record in store.page(status=Status.QUEUED).records] == [waiting]
    assert [record.id for record in store.page(status=Status.RUNNING).records] == [running]
    assert store.counts() == dict.fromkeys(Status, 0) | {Status.QUEUED: 1, Status.RUNNING: 1}


def test_queue_position_counts_those_ahead(store: JobStore) -> None:
    records = [store.create(a_request()) for _ in range(3)]
    assert [record.position for record in records] == [0, 1, 2]
    store.cancel(records[0].id)
    assert [record.position for record in store.page().records] == [1, 0, None]


def test_indexes_forget_what_expired_long_ago(store: JobStore, connection: redis.Redis) -> None:
    old = "00000000-0000-7000-8000-000000000000"
    connection.zadd(keys.INDEX, {old: 0})
    connection.zadd(keys.index(Status.SUCCEEDED), {old: 0})
    new = store.create(a_request()).id
    assert connection.zrange(keys.INDEX, 0, -1) == [new.encode()]
    assert store.counts()[Status.SUCCEEDED] == 0


def test_images_are_shown_as_they_come_and_forgotten_with_their_attempt(store: JobStore) -> None:
    id, attempt = started(store)
    assert store.show(id, attempt.token, [IMAGE])
    assert types(store, id)[-1] == "image"
    shown = store.get(id)
    assert shown is not None and shown.images == (IMAGE,)
    assert store.hand_back(id, attempt.token)
    assert not store.show(id, attempt.token, [IMAGE])
    assert store.start(id, "another") is not None
    again = store.get(id)
    assert again is not None and again.images == ()
