"""`guidepost up`, and the two kinds of process it keeps: `serve` and `worker`."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.client import Service
    from cli.supervisor import Role

Port = Annotated[
    int | None, typer.Option(help="TCP port; 0 takes a free one. Default: GUIDEPOST_PORT.", min=0, max=65535)
]
Host = Annotated[str | None, typer.Option(help="Address to listen on. Default: GUIDEPOST_HOST.")]
Open = Annotated[
    bool | None, typer.Option("--open", help="Serve without API keys, while there is none, whoever can reach --host.")
]


def up(
    port: Port = None,
    host: Host = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="For Redis and the images. Default: GUIDEPOST_DATA_DIR.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Worker processes; each loads the models.", min=0)] = 1,
    open: Open = None,
) -> None:
    """Run the whole service in one terminal: Redis, the gateway and the workers. Ctrl-C ends them all.

    Redis is embedded (append-only file on, under the data directory) unless GUIDEPOST_REDIS_URL is set.

    \b
    Examples:
      guidepost up
      guidepost up --port 0 --data-dir /tmp/guidepost
      GUIDEPOST_MODELS=shapes,sd15=/models/sd15 guidepost up --workers 2
    """
    from cli.supervisor import Supervisor

    _settle(GUIDEPOST_PORT=port, GUIDEPOST_HOST=host, GUIDEPOST_DATA_DIR=data_dir and data_dir.resolve())
    _settle(GUIDEPOST_OPEN=open)
    with ExitStack() as stack:
        stack.enter_context(_redis())
        _insist_on_keys()
        listener = stack.enter_context(_listening())
        service = stack.enter_context(_service(listener))
        supervisor = Supervisor(roles(listener, workers), os.environ)
        status = supervisor.run(lambda: _ready(service, workers), lambda: _announce(service))
    raise typer.Exit(status)


def serve(
    port: Port = None,
    host: Host = None,
    open: Open = None,
    fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the gateway alone: HTTP in front of a Redis that workers listen to. It never loads torch.

    \b
    Examples:
      GUIDEPOST_REDIS_URL=redis://localhost:6379 guidepost serve --port 8000
    """
    from cli.process import end_with_parent

    end_with_parent()
    _settle(GUIDEPOST_PORT=port, GUIDEPOST_HOST=host, GUIDEPOST_OPEN=open)
    if fd is None:
        _insist_on_keys()
    import uvicorn

    from jobs.logs import configure
    from jobs.settings import Settings
    from jobs.tracing import TracingMissing
    from service.app import create_app
    from service.server import config

    settings = Settings()
    configure(settings)
    listener = socket.socket(fileno=fd) if fd is not None else _listen()
    print(f"guidepost gateway listens on {url(listener)}", flush=True)
    try:
        app = create_app(settings)
    except TracingMissing as error:
        sys.exit(f"guidepost gateway: {error}")
    uvicorn.Server(config(app)).run(sockets=[listener])


def worker(
    concurrency: Annotated[
        int | None, typer.Option(help="Requests at once. Default: GUIDEPOST_CONCURRENCY.", min=1)
    ] = None,
    max_batch_rows: Annotated[
        int | None, typer.Option(help="Rows per network call. Default: GUIDEPOST_MAX_BATCH_ROWS.", min=1)
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Run none: exit 0 if one of this machine shows itself, 1 if none does, 2 if Redis is away."
        ),
    ] = False,
) -> None:
    """Run one worker process: it loads the models of GUIDEPOST_MODELS and serves the queue in GUIDEPOST_REDIS_URL.

    \b
    Examples:
      GUIDEPOST_REDIS_URL=redis://localhost:6379 guidepost worker --concurrency 8
      GUIDEPOST_MODELS=sd15=/models/sd15 guidepost worker --max-batch-rows 4
      GUIDEPOST_REDIS_URL=redis://localhost:6379 guidepost worker --check
    """
    from jobs.settings import Settings

    if check:
        from cli.check import check as status

        raise typer.Exit(status(Settings()))
    from cli.process import end_with_parent

    end_with_parent()
    _settle(GUIDEPOST_CONCURRENCY=concurrency, GUIDEPOST_MAX_BATCH_ROWS=max_batch_rows)
    from workers.main import run

    run(Settings())


def _settle(**variables: object) -> None:
    """Options become environment variables: one way for settings to travel, to this process and its children."""
    os.environ.update({name: str(value) for name, value in variables.items() if value is not None})


def _insist_on_keys() -> None:
    """Nothing listens where others can reach it while whoever comes would be served. The gateway insists too."""
    from jobs.api_keys import ApiKeyStore
    from jobs.connection import AWAY, connect
    from jobs.settings import Settings

    settings = Settings()
    if settings.needs_no_key:
        return
    with suppress(*AWAY), connect(settings) as connection:
        if not ApiKeyStore(connection).exist():
            why = f"{settings.host} can be reached by others, and no API key exists: `guidepost keys create`, or --open"
            raise typer.BadParameter(why, param_hint="--host")


def _listen() -> socket.socket:
    from jobs.settings import Settings

    settings = Settings()
    try:
        listener = socket.create_server((settings.host, settings.port), backlog=1024)
    except OSError as error:  # taken, not allowed, or no address of this machine
        raise typer.BadParameter(f"{settings.host}:{settings.port}: {error.strerror}", param_hint="--port") from error
    # Read anew from its descriptor it knows that it is TCP; asyncio else leaves Nagle's algorithm on, 40 ms an answer.
    return socket.socket(fileno=listener.detach())


@contextmanager
def _listening() -> Iterator[socket.socket]:
    """The gateway's socket is ours, so that port 0 is known here and a restarted gateway keeps its clients waiting."""
    with _listen() as listener:
        listener.set_inheritable(True)
        yield listener


@contextmanager
def _redis() -> Iterator[None]:
    if os.environ.get("GUIDEPOST_REDIS_URL"):
        yield
        return
    from cli.redis import kept_redis
    from jobs.settings import Settings

    with kept_redis(Settings().data_dir) as url:
        _settle(GUIDEPOST_REDIS_URL=url)
        yield


def _service(listener: socket.socket) -> "Service":
    from cli.client import Service

    return Service(url(listener))


def url(listener: socket.socket) -> str:
    """Where a client on this machine finds it."""
    host, port = listener.getsockname()[:2]
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"


def roles(listener: socket.socket, workers: int) -> list["Role"]:
    """The gateway, which inherits the listener, and the workers."""
    from cli.supervisor import Role

    python = [sys.executable, "-m", "cli"]
    gateway = Role("gateway", [*python, "serve", "--fd", str(listener.fileno())], pass_fds=[listener.fileno()])
    return [gateway, *(Role(f"worker-{k + 1}", [*python, "worker"], env=_metrics(k)) for k in range(workers))]


def _metrics(worker: int) -> dict[str, str]:
    """Workers of one machine have a port each for their metrics: the one that is set, and those that follow it."""
    from jobs.settings import Settings

    port = Settings().metrics_port
    return {"GUIDEPOST_METRICS_PORT": str(port + worker)} if port else {}


def _ready(service: "Service", workers: int) -> bool:
    return service.answers("/readyz" if workers else "/livez")


def _announce(service: "Service") -> None:
    print(f"Guidepost is ready at {service.url} (its API: {service.url}/docs)", flush=True)
