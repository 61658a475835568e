"""Creates and polls per second of one gateway process, over those of a bare one: FastAPI and an RQ queue.

Two uvicorn processes with the settings of `guidepost serve`, one Redis whose append-only file is synced before it
answers, eight clients that ask again as soon as they are answered; rounds of one and of the other in turn. Ours
validates, plans, logs, and keeps a record with its events and places; the bare one (`benchmarks.bare`) enqueues what it
is sent. Both get the same bodies; nobody takes anything from either queue. Round trips are the reads of Redis, with
those that a process makes of its own accord: who works, every 1.5 s; whether something is due, every second.
"""

from __future__ import annotations

import functools
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import redis

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table, ratios
from benchmarks.load import DESCRIPTOR, Server, bodies, served
from guidance.info import ModelInfo
from guidance.plan import plan
from jobs.connection import connect
from jobs.embedded import EmbeddedRedis
from jobs.presence import Presence
from jobs.request import GenerationRequest, resolve
from jobs.settings import Settings
from service.evaluations import evaluations, forget
from service.gateway import Gateway
from service.submission import checked

GOAL = Goal(0.8)
CREATES, POLLS, ALONE = 800, 1600, 200
"""Requests of one timing of all clients, and of one client."""
TIMES = 200
LONG_SECONDS = 3600.0
NO_BOUND = 10**9

SIMPLE: dict[str, Any] = {"prompt": "a large red circle"}
TYPICAL: dict[str, Any] = {
    "prompt": "a large red circle on a dark background",
    "sampler": {"type": "dpmpp_2m", "steps": 25},
    "guidance": {"combiner": {"type": "cfg"}, "schedule": {"type": "cosine", "max_weight": 6.0}},
}
HEAVY: dict[str, Any] = {
    "prompt": "a large red circle on a dark background",
    "sampler": {"type": "heun", "steps": 250},
    "guidance": {
        "combiner": {"type": "apg"},
        "schedule": {"type": "interval", "weight": 5, "sigma_low": 0.3, "sigma_high": 5},
        "condition": [{"type": "cads"}],
        "correction": [{"type": "rescale"}, {"type": "momentum"}],
        "travel": {"type": "time_travel"},
    },
}


@dataclass(frozen=True)
class House:
    """Both servers and their Redis."""

    ours: Server
    bare: Server
    connection: redis.Redis
    settings: Settings


def run(bench: Bench) -> Section:
    fields, numbers = TYPICAL | {"model": bench.id}, itertools.count()
    many, alone = bench.few(POLLS, 32), bench.few(ALONE, 8)
    with _house(bench) as house:
        servers = {"ours": house.ours, "bare": house.bare}
        creates, new = (_creates(bench, house, fields, numbers, new_specs) for new_specs in (False, True))
        [body] = bodies(fields, 1, numbers)
        ids = {name: server.created(body) for name, server in servers.items()}
        polls = bench.times("polls", {name: _polling(server, ids[name], many) for name, server in servers.items()})
        each: dict[str, Spent] = {}
        for name, server in servers.items():
            posted = functools.partial(server.create, bodies(fields, alone, numbers), clients=1)
            polled = functools.partial(server.poll, ids[name], alone, clients=1)
            each |= {f"{name}, create": _spent(house, server, posted, alone)}
            each |= {f"{name}, poll": _spent(house, server, polled, alone)}
        rates = [(name, bench.few(CREATES, 16) / median(creates[name]), many / median(polls[name])) for name in servers]
        tables = [
            Table("Requests per second", ("", "creates", "polls"), rates),
            _per_request(each),
            _parts(house, body, each["ours, create"].seconds),
            _validation(house, bench.model.info),
        ]
    figures = [
        Figure("creates per second, ours / FastAPI and RQ alone", ratios(creates["bare"], creates["ours"]), goal=GOAL),
        Figure("the same, each with a spec not seen before", ratios(new["bare"], new["ours"])),
        Figure("polls per second of one that waits, ours / FastAPI and RQ alone", ratios(polls["bare"], polls["ours"])),
        Figure("Redis round trips per create", [each["ours, create"].round_trips], "", less=True),
        Figure("Redis round trips per poll", [each["ours, poll"].round_trips], "", less=True),
    ]
    return Section(figures, tables)


@contextmanager
def _house(bench: Bench) -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="guidepost-") as folder, EmbeddedRedis(Path(folder)) as server:
        settings = Settings(redis_url=server.url, max_queue=NO_BOUND, max_queue_evaluations=NO_BOUND)
        bounds = {f"GUIDEPOST_{name.upper()}": str(NO_BOUND) for name in ("max_queue", "max_queue_evaluations")}
        ours = [sys.executable, "-m", "cli", "serve", "--fd", DESCRIPTOR]
        bare = [sys.executable, "-m", "benchmarks.bare", DESCRIPTOR, server.url]
        log = bench.folder / "gateway.log"
        with (
            connect(settings) as connection,
            served(ours, log, bounds | {"GUIDEPOST_REDIS_URL": server.url}) as gateway,
            served(bare, log) as other,
        ):
            Presence(connection, "nobody", LONG_SECONDS).renew([bench.model.info])
            yield House(gateway, other, connection, settings)


def _creates(
    bench: Bench, house: House, fields: dict[str, Any], numbers: Iterator[int], new_specs: bool
) -> dict[str, list[float]]:
    many = bench.few(CREATES, 16)
    rounds = [bodies(fields, many, numbers, new_specs) for _ in range(bench.repetitions + 1)]
    ways = {"ours": lambda k: house.ours.create(rounds[k]), "bare": lambda k: house.bare.create(rounds[k])}
    return bench.times("creates of new specs" if new_specs else "creates", ways)


def _polling(server: Server, id: str, many: int) -> Callable[[int], None]:
    return lambda _: server.poll(id, many)


@dataclass(frozen=True)
class Spent:
    """By one request of a lone client."""

    seconds: float
    cpu: float
    """Seconds of the server's process."""
    redis_cpu: float
    round_trips: float
    commands: float
    """In Redis, those that scripts call included."""

    @property
    def row(self) -> tuple[float, ...]:
        times = (1000 * self.seconds, 1e6 * self.cpu, 1e6 * self.redis_cpu)
        return (*times, self.round_trips, self.commands)


def _spent(house: House, server: Server, ask: Callable[[], None], times: int) -> Spent:
    """What each of so many requests took, all that the processes do beside them included."""
    before, began, cpu = _counted(house.connection), time.perf_counter(), server.cpu_seconds
    ask()
    seconds, cpu = time.perf_counter() - began, server.cpu_seconds - cpu
    used, reads, calls = (b - a for a, b in zip(before, _counted(house.connection), strict=True))
    own = (0.0, 1, 1)  # the first of the two questions is in the difference
    return Spent(*(n / times for n in (seconds, cpu, used - own[0], reads - own[1], calls - own[2])))


def _counted(connection: redis.Redis) -> tuple[float, int, int]:
    """Of Redis, so far: seconds of CPU, reads of sockets, commands."""
    found: Any = connection.info("all")
    calls = sum(said["calls"] for name, said in found.items() if name.startswith("cmdstat_"))
    return found["used_cpu_user"] + found["used_cpu_sys"], found["total_reads_processed"], calls


def _per_request(found: dict[str, Spent]) -> Table:
    header = ("", "ms, one client", "CPU us of the server", "CPU us of Redis", "round trips", "commands")
    return Table("What one request takes", header, [(name, *spent.row) for name, spent in found.items()])


def _parts(house: House, body: bytes, alone: float) -> Table:
    """Each part of a create on its own, in this process; the rest is HTTP, middleware and the way to a thread."""
    gateway = Gateway(house.settings)
    asked = json.loads(body)
    request = GenerationRequest.model_validate(asked)
    order = checked(gateway, request)
    record = gateway.store.create(order.request, order.nfe_total)
    info = gateway.model(request.model)
    assert info is not None
    parts: dict[str, Callable[[], object]] = {
        "JSON and validation of the body": lambda: GenerationRequest.model_validate(json.loads(body)),
        "against the model, defaults filled in": lambda: resolve(request, info, gateway.settings, {}),
        "plan, of a spec that is new": lambda: plan(order.request.guidance, order.request.sampler, info),
        "plan, of a spec that is remembered": lambda: evaluations(order.request.guidance, order.request.sampler, info),
        "Redis: accepted, synced, answered": lambda: gateway.store.create(order.request, order.nfe_total),
        "a round trip to Redis that does nothing": lambda: gateway.redis.ping(),
        "the answer": lambda: gateway.render(record).model_dump_json(),
    }
    rows = [(name, 1e6 * _median(part)) for name, part in parts.items()]
    gateway.redis.close()
    return Table(
        "Where a create's time goes", ("part", "us"), [*rows, ("all of it over HTTP, one client", 1e6 * alone)]
    )


def _validation(house: House, info: ModelInfo) -> Table:
    """What full validation takes: the body against its schema, then against the model, then its plan."""
    gateway = Gateway(house.settings)
    rows: list[tuple[str | float, ...]] = [
        (name, *_checks(gateway, fields | {"model": info.id}))
        for name, fields in {"a prompt alone": SIMPLE, "typical": TYPICAL, "heavy": HEAVY}.items()
    ]
    gateway.redis.close()
    return Table("Validation", ("us", "schema", "model and plan, a new spec", "model and plan, a spec known"), rows)


def _checks(gateway: Gateway, fields: dict[str, Any]) -> tuple[float, ...]:
    """Microseconds of the schema, of the rest for a spec that is new, and for one that is known."""
    request = GenerationRequest.model_validate(fields)

    def new() -> None:
        forget()
        checked(gateway, request)

    acts = (lambda: GenerationRequest.model_validate(fields), new, lambda: checked(gateway, request))
    return tuple(1e6 * _median(act) for act in acts)


def _median(act: Callable[[], object]) -> float:
    """Seconds."""
    act()
    spent = []
    for _ in range(TIMES):
        began = time.perf_counter()
        act()
        spent.append(time.perf_counter() - began)
    return median(spent)
