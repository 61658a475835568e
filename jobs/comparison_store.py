"""Every read and every change of a comparison."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from jobs import keys
from jobs.comparison import Axis, Comparison
from jobs.ids import is_id, least_id, new_id
from jobs.order import ANYONE, Order, Parent, Terms
from jobs.record import Record
from jobs.store import JobStore

Fields = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class ComparisonPage:
    """Comparisons, newest first. `next_cursor` is the `after` of the next page, None on the last."""

    comparisons: list[Comparison]
    next_cursor: str | None


class ComparisonStore:
    """For threads. A comparison has no state of its own: that is the states of its generations."""

    def __init__(self, store: JobStore) -> None:
        self.store = store
        self.redis = store.redis

    def create(
        self, orders: Sequence[Order], labels: Sequence[str], axes: Sequence[Axis] = (), terms: Terms = ANYONE
    ) -> Comparison:
        """Accept all of the orders or none, one for each label. Raises Repeated, QueueFull or TooManyActive."""
        id = new_id()
        shown = {"labels": json.dumps(labels), "axes": json.dumps([axis.model_dump() for axis in axes])}
        self.store.create_all(orders, terms, Parent(id, keys.comparison(id), keys.comparisons(terms.tenant), shown))
        oldest = least_id(time.time() - 2 * self.store.settings.record_ttl_seconds)
        self.redis.zremrangebylex(keys.comparisons(terms.tenant), "-", f"({oldest}")
        created = self.get(id)
        assert created is not None
        return created

    def get(self, id: str) -> Comparison | None:
        """The comparison; None when there is none, or when it or one of its generations is no longer kept."""
        found = self._get([id]) if is_id(id) else []
        return found[0] if found else None

    def page(self, limit: int = 20, after: str | None = None, tenant: str = "") -> ComparisonPage:
        """Up to `limit` of a tenant's comparisons older than the id `after`, newest first."""
        below = f"({after}" if after else "+"
        found = cast(list[bytes], self.redis.zrevrangebylex(keys.comparisons(tenant), below, "-", 0, limit + 1))
        ids = [id.decode() for id in found]
        return ComparisonPage(self._get(ids[:limit]), ids[limit - 1] if len(ids) > limit else None)

    def cancel(self, comparison: Comparison) -> None:
        """End each of its generations that waits or runs."""
        for record in comparison.records:
            self.store.cancel(record.id)

    def keep_until(self, id: str, expires_at: datetime) -> None:
        """Have the bytes that are kept for the comparison itself removed at this time."""
        self.redis.zadd(keys.STORED, {id: expires_at.timestamp()})

    def _get(self, ids: Sequence[str]) -> list[Comparison]:
        parents = [fields for fields in self._hashes(map(keys.comparison, ids)) if fields]
        listed: list[list[str]] = [json.loads(fields[b"generations"]) for fields in parents]
        hashes = self._hashes(keys.generation(id) for generations in listed for id in generations)
        records = iter([Record.from_hash(fields) if fields else None for fields in hashes])
        together = [(fields, [next(records) for _ in ids]) for fields, ids in zip(parents, listed, strict=True)]
        return [_comparison(fields, tuple(known)) for fields, found in together if (known := _all(found))]

    def _hashes(self, names: Any) -> list[Fields]:
        with self.redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.hgetall(name)
            return cast(list[Fields], pipeline.execute())


def _all(records: Sequence[Record | None]) -> list[Record]:
    """The records if none is missing."""
    known = [record for record in records if record is not None]
    return known if len(known) == len(records) else []


def _comparison(fields: Fields, records: tuple[Record, ...]) -> Comparison:
    return Comparison(
        id=fields[b"id"].decode(),
        tenant=fields[b"tenant"].decode(),
        created_at=datetime.fromtimestamp(float(fields[b"created_at"]), UTC),
        labels=tuple(json.loads(fields[b"labels"])),
        axes=tuple(Axis.model_validate(axis) for axis in json.loads(fields[b"axes"])),
        records=records,
    )
