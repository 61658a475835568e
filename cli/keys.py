"""`guidepost keys`: who may ask the service, for what, and how much."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from jobs.api_keys import ApiKey, ApiKeyStore

keys = typer.Typer(
    help="Create, list and revoke API keys, in the Redis of GUIDEPOST_REDIS_URL or that of `guidepost up`.",
    no_args_is_help=True,
)
DataDir = Annotated[Path | None, typer.Option(help="Of the `guidepost up` that is meant. Default: GUIDEPOST_DATA_DIR.")]
Bound = int | None


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="For you to tell it from others.")] = "",
    tenant: Annotated[
        str | None, typer.Option(help="Keys of one tenant see each other's work. Default: a tenant of its own.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="read, write or metrics; may be repeated. Default: read and write.")
    ] = None,
    rate: Annotated[Bound, typer.Option(help="Requests in any minute.", min=1)] = None,
    burst: Annotated[Bound, typer.Option(help="Requests in any second.", min=1)] = None,
    max_active: Annotated[Bound, typer.Option(help="Generations of its tenant queued and running.", min=1)] = None,
    quota: Annotated[
        Bound, typer.Option(help="Network evaluations of its tenant accepted in a day (UTC).", min=1)
    ] = None,
    days: Annotated[float | None, typer.Option(help="After that many days it expires. Default: never.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it: the only time that it is shown. Redis keeps a hash of it.

    With the first key the service stops answering without one, within a second. A key that replaces another gets its
    tenant: it sees what that one made.

    \b
    Examples:
      guidepost keys create laptop
      guidepost keys create ci --rate 600 --burst 20 --days 90
      guidepost keys create student --max-active 4 --quota 100000
      guidepost keys create laptop-2 --tenant 3f09c21b7a55
      guidepost keys create prometheus --scope metrics
      export GUIDEPOST_API_KEY=$(guidepost keys create me)
    """
    fields: dict[str, Any] = {"rate": rate, "burst": burst, "max_active": max_active, "quota": quota}
    if scope:
        fields["scopes"] = scope
    if days is not None:
        fields["expires_at"] = _in_days(days)
    with _store(data_dir) as store, _explained():
        key, token = store.create(name, tenant, **fields)
    print(f"key {key.id} of tenant {key.tenant}: {_limits(key)}", file=sys.stderr)
    typer.echo(token)


@keys.command("list")
def list_keys(data_dir: DataDir = None) -> None:
    """List the keys: what they may do, and when they were used last. Their secrets are nowhere to be had.

    \b
    Examples:
      guidepost keys list
      guidepost keys list --data-dir /srv/guidepost
    """
    from datetime import UTC, datetime

    from cli.listing import print_table

    with _store(data_dir) as store:
        listed, used, now = store.all(), store.last_used(), datetime.now(UTC)
    print_table(
        ("id", "name", "tenant", "may", "created", "last used", "expires", "state"),
        [
            (
                key.id,
                key.name,
                key.tenant,
                _limits(key),
                _day(key.created_at),
                _day(used.get(key.id)),
                _day(key.expires_at),
                key.state(now),
            )
            for key in listed
        ],
    )


@keys.command()
def revoke(
    id: Annotated[str, typer.Argument(help="As `guidepost keys list` shows it; a whole key will do.")],
    data_dir: DataDir = None,
) -> None:
    """End a key for good. Gateways refuse it within a second.

    It stays listed: a service whose keys are all revoked is closed, not open.

    \b
    Examples:
      guidepost keys revoke 3f09c21b7a55
    """
    from jobs.api_keys import id_of

    with _store(data_dir) as store:
        key = store.revoke(id_of(id) or id)
    if key is None:
        raise typer.BadParameter("there is no key of this id", param_hint="ID")
    typer.echo(f"key {key.id} is revoked")


@contextmanager
def _store(data_dir: Path | None) -> "Iterator[ApiKeyStore]":
    from cli.redis import reached_redis
    from jobs.api_keys import ApiKeyStore
    from jobs.connection import AWAY, connect
    from jobs.settings import Settings

    settings = Settings()
    if data_dir is not None:
        settings = settings.model_copy(update={"data_dir": data_dir.absolute()})
    try:
        with reached_redis(settings) as url, connect(settings.model_copy(update={"redis_url": url})) as connection:
            yield ApiKeyStore(connection)
    except AWAY as error:
        _fail(f"Redis does not answer: {error}")
    except RuntimeError as error:  # the embedded Redis does not start
        _fail(str(error))


@contextmanager
def _explained() -> Iterator[None]:
    """A wrong option is told as such."""
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        name = f"--{found['loc'][0]}".replace("_", "-").replace("--scopes", "--scope")
        raise typer.BadParameter(f"{found['input']!r}: {found['msg']}", param_hint=name) from error


def _fail(why: str) -> None:
    print(why, file=sys.stderr)
    raise typer.Exit(1)


def _in_days(days: float) -> "datetime":
    from datetime import UTC, datetime, timedelta

    try:
        return datetime.now(UTC) + timedelta(days=days)
    except OverflowError:
        raise typer.BadParameter(f"{days} is too long", param_hint="--days") from None


def _limits(key: "ApiKey") -> str:
    bounds = {"/min": key.rate, "/s": key.burst, " active": key.max_active, " evaluations/day": key.quota}
    return ", ".join([*sorted(key.scopes), *(f"{bound}{unit}" for unit, bound in bounds.items() if bound is not None)])


def _day(time: "datetime | None") -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else "-"
