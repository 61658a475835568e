"""Every read and every change of a comparison."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from jobs import keys
from jobs.comparison import Axis, Comparison
from jobs.ids import is_id, new_id
from jobs.order import ANYONE, Order, Parent, Terms
from jobs.record import Record, as_time
from jobs.records import Fields, Records
from jobs.store import JobStore


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
        self._records = Records(store.redis)

    def create(
        self, orders: Sequence[Order], labels: Sequence[str], axes: Sequence[Axis] = (), terms: Terms = ANYONE
    ) -> Comparison:
        """Accept all of the orders or none, one for each label. Raises Repeated, QueueFull or TooManyActive."""
        id = new_id()
        shown = {"labels": json.dumps(labels), "axes": json.dumps([axis.model_dump() for axis in axes])}
        parent = Parent(id, keys.comparison(id), keys.comparisons(terms.tenant), shown)
        records = self.store.create_all(orders, terms, parent)
        return Comparison(id, terms.tenant, records[0].created_at, tuple(labels), tuple(axes), tuple(records))

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
        found = [one for one in self._records.comparisons(ids) if one]
        return [_comparison(fields, tuple(known)) for fields, records in found if (known := _all(records))]


def _all(records: Sequence[Record | None]) -> list[Record]:
    """The records if none is missing."""
    known = [record for record in records if record is not None]
    return known if len(known) == len(records) else []


def _comparison(fields: Fields, records: tuple[Record, ...]) -> Comparison:
    return Comparison(
        id=fields[b"id"].decode(),
        tenant=fields[b"tenant"].decode(),
        created_at=as_time(fields[b"created_at"]),
        labels=tuple(json.loads(fields[b"labels"])),
        axes=tuple(Axis.model_validate(axis) for axis in json.loads(fields[b"axes"])),
        records=records,
    )
