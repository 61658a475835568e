"""Deliveries that tests make due and try, one by one."""

from __future__ import annotations

from typing import Any

from jobs import keys
from jobs.store import JobStore
from jobs.webhook import Delivery
from service.deliverer import Deliverer
from tests.jobs.requests import a_request


def ended(store: JobStore, url: str, **fields: Any) -> str:
    id = store.create(a_request(webhook={"url": url}, **fields)).id
    store.cancel(id)
    return id


def attempt(deliverer: Deliverer, id: str) -> Delivery:
    """What became of it when it was tried, which its time has come for."""
    assert deliverer.redis.zadd(keys.DELIVERIES, {id: 0}, xx=True, ch=True)
    assert deliverer.deliver()
    return delivery(deliverer, id)


def delivery(deliverer: Deliverer, id: str) -> Delivery:
    record = deliverer.store.get(id)
    assert record is not None and record.delivery is not None
    return record.delivery
