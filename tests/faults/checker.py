"""Whether a history is one that the service may have: every promise that it breaks, one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from jobs.record import TERMINAL
from tests.faults.history import STORED, UNKNOWN, Accepted, Answered, Entry, Fetched, Refused, Told


@dataclass(frozen=True)
class Violation:
    """A broken promise: its name, of which generation, and what was seen."""

    promise: str
    id: str
    seen: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.id}: {self.seen}"


@dataclass
class Life:
    """All that was said of one generation, in the order in which it was said."""

    id: str
    accepted: list[Accepted] = field(default_factory=list)
    answers: list[Answered] = field(default_factory=list)
    told: defaultdict[str, list[Told]] = field(default_factory=lambda: defaultdict(list))
    fetched: list[Fetched] = field(default_factory=list)


def check(history: Iterable[Entry], expected: Mapping[str, Sequence[str]]) -> list[Violation]:
    """What a history breaks once everything should have ended.

    `expected` has the sha256 of the files that each request gives when nothing disturbs it, by the request's name.
    """
    entries = list(history)
    found = list(_one_key_one_generation(entries))
    for life in _lives(entries):
        for promise in PROMISES:
            found += promise(life)
        found += _same_bytes(life, expected)
    return found


def _lives(entries: Iterable[Entry]) -> Iterable[Life]:
    lives: dict[str, Life] = {}
    for entry in entries:
        if isinstance(entry, Refused):
            continue
        life = lives.setdefault(entry.id, Life(entry.id))
        if isinstance(entry, Accepted):
            life.accepted.append(entry)
        elif isinstance(entry, Answered):
            life.answers.append(entry)
        elif isinstance(entry, Told):
            life.told[entry.source].append(entry)
        else:
            life.fetched.append(entry)
    return lives.values()


def _one_key_one_generation(entries: Iterable[Entry]) -> Iterator[Violation]:
    by_key: defaultdict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if isinstance(entry, Accepted) and entry.key is not None:
            by_key[entry.key].add(entry.id)
    for key, ids in by_key.items():
        if len(ids) > 1:
            yield Violation("one key, one generation", min(ids), f"the key {key} also made {sorted(ids)[1:]}")


def _never_unknown(life: Life) -> Iterator[Violation]:
    since = min((entry.answered for entry in life.accepted), default=None)
    for answer in life.answers:
        if since is not None and answer.status == UNKNOWN and answer.asked >= since:
            yield Violation("what was accepted is known", life.id, "answered with 404")
            return


def _ends(life: Life) -> Iterator[Violation]:
    if not life.accepted:
        return
    last = max(life.answers, key=lambda answer: answer.asked, default=None)
    if last is None or last.status not in TERMINAL:
        said = f"last seen {last.status}, attempt {last.attempts}" if last else "never seen again"
        yield Violation("what was accepted ends", life.id, said)


def _stays_ended(life: Life) -> Iterator[Violation]:
    """An answer to a question that was asked after an end was told shows that very end."""
    ended = [answer for answer in life.answers if answer.status in TERMINAL]
    if not ended:
        return
    first = min(ended, key=lambda answer: answer.answered)
    for answer in life.answers:
        known = answer.asked >= first.answered or answer.status in TERMINAL
        if known and answer.status != UNKNOWN and _end(answer) != _end(first):
            yield Violation("an end stays as it is", life.id, f"{_end(first)} became {_end(answer)}")
            return


def _end(answer: Answered) -> tuple[object, ...]:
    return answer.status, answer.attempts, answer.images, answer.error


def _attempts_rise(life: Life) -> Iterator[Violation]:
    """Of two answers of which one came before the other was asked for, the later has no fewer attempts."""
    known = [answer for answer in life.answers if answer.status != UNKNOWN]
    most, finished = 0, sorted(known, key=lambda answer: answer.answered)
    at = 0
    for answer in sorted(known, key=lambda answer: answer.asked):
        while finished[at].answered <= answer.asked:
            most = max(most, finished[at].attempts)
            at += 1
        if answer.attempts < most:
            yield Violation("attempts only rise", life.id, f"{most} became {answer.attempts} in answers")
            return
    for source, events in life.told.items():
        numbers = [event.attempts for event in events if event.attempts is not None]
        if numbers != sorted(numbers):
            yield Violation("attempts only rise", life.id, f"{numbers} in the events of {source}")


def _events_without_holes(life: Life) -> Iterator[Violation]:
    """From 1 in Redis; from wherever it began, in a client's stream."""
    for source, events in life.told.items():
        numbers = [event.seq for event in events]
        if source == STORED and numbers[0] != 1:
            yield Violation("events have no holes", life.id, f"the first in Redis is {numbers[0]}")
        for before, after in pairwise(numbers):
            if after != before + 1:
                yield Violation("events have no holes", life.id, f"{after} follows {before} in {source}")
                break


def _one_done(life: Life) -> Iterator[Violation]:
    """`done` comes once, last, and says what the record says."""
    for source, events in life.told.items():
        done = [place for place, event in enumerate(events) if event.type == "done"]
        if len(done) > 1:
            yield Violation("one end", life.id, f"{len(done)} done events in {source}")
        elif done and done[0] != len(events) - 1:
            after = ", ".join(event.type for event in events[done[0] + 1 :])
            yield Violation("nothing follows done", life.id, f"{after} in {source}")
    said = {event.status for events in life.told.values() for event in events if event.type == "done"}
    said |= {answer.status for answer in life.answers if answer.status in TERMINAL}
    if len(said) > 1:
        yield Violation("one end", life.id, f"it was said to have {' and '.join(sorted(map(str, said)))}")


def _events_stay(life: Life) -> Iterator[Violation]:
    """An event that a client was told lies in Redis as it was told."""
    stored = {event.seq: event for event in life.told.get(STORED, ())}
    for source, events in life.told.items():
        for event in events:
            kept = stored.get(event.seq, event)
            if (kept.type, kept.status, kept.attempts) != (event.type, event.status, event.attempts):
                yield Violation("events stay as they are", life.id, f"{event.seq} was {event.type} in {source}")
                return
            if stored and event.seq > max(stored):
                yield Violation("events stay as they are", life.id, f"{event.seq} of {source} is not in Redis")
                return


def _same_bytes(life: Life, expected: Mapping[str, Sequence[str]]) -> Iterator[Violation]:
    """Whichever attempt it was, the files are those that an undisturbed run gives."""
    if not life.accepted:
        return
    files = expected.get(life.accepted[0].request)
    if files is None:
        return
    for answer in life.answers:
        right = tuple(files) if answer.status == "succeeded" else tuple(files)[: len(answer.images)]
        if answer.images != right:
            attempt = f"attempt {answer.attempts} ({answer.status})"
            yield Violation("the bytes are those of an undisturbed run", life.id, f"not so in {attempt}")
            return
    for image in life.fetched:
        if image.sha256 != files[image.index]:
            yield Violation("the bytes are those of an undisturbed run", life.id, f"not so in image {image.index}")
            return


PROMISES = (_never_unknown, _ends, _stays_ended, _attempts_rise, _events_without_holes, _one_done, _events_stay)
