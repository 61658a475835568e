"""Which workers live and what they serve. A worker shows itself again and again; silence is absence."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, cast

import redis
from pydantic import BaseModel, ConfigDict, Field

from guidance.info import ModelInfo
from jobs import keys
from jobs.cost import Pace


class WorkerInfo(BaseModel):
    """What a worker process says of itself."""

    model_config = ConfigDict(frozen=True)

    id: str
    models: tuple[ModelInfo, ...] = ()
    info: dict[str, Any] = Field(default_factory=dict)
    """Free-form: host, device, concurrency, ..."""
    paces: tuple[Pace, ...] = ()
    """How fast it is at what it has run, the latest first."""

    def serves(self, crew: Collection[str]) -> bool:
        """Whether it has all of these models."""
        return set(crew) <= {model.id for model in self.models}


class Presence:
    """One worker's sign of life. It must be renewed within `ttl` seconds, by the clock of Redis."""

    def __init__(self, connection: redis.Redis, worker_id: str, ttl: float) -> None:
        self.redis = connection
        self.worker_id = worker_id
        self.ttl = ttl

    def renew(self, models: list[ModelInfo], info: dict[str, Any] | None = None, paces: Sequence[Pace] = ()) -> None:
        """Be present for another `ttl` seconds, serving `models`."""
        worker = WorkerInfo(id=self.worker_id, models=tuple(models), info=info or {}, paces=tuple(paces))
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.set(keys.worker(self.worker_id), worker.model_dump_json(), px=int(self.ttl * 1000))
            pipeline.sadd(keys.WORKERS, self.worker_id)
            pipeline.execute()

    def withdraw(self) -> None:
        """Be gone at once, for instance before draining: nothing new is sent here."""
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.delete(keys.worker(self.worker_id))
            pipeline.srem(keys.WORKERS, self.worker_id)
            pipeline.execute()


def live_workers(connection: redis.Redis) -> list[WorkerInfo]:
    """Workers that showed themselves lately, by id."""
    ids = sorted(id.decode() for id in cast(set[bytes], connection.smembers(keys.WORKERS)))
    if not ids:
        return []
    found = dict(zip(ids, cast(list[bytes | None], connection.mget(map(keys.worker, ids))), strict=True))
    if silent := [id for id, said in found.items() if said is None]:
        connection.srem(keys.WORKERS, *silent)
    return [WorkerInfo.model_validate_json(said) for said in found.values() if said is not None]


def live_models(connection: redis.Redis) -> dict[str, ModelInfo]:
    """Every model that a live worker serves, by id."""
    return {model.id: model for worker in live_workers(connection) for model in worker.models}
