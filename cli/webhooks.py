"""`guidepost webhooks`: the secrets that webhooks are signed with."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from jobs.signing import SigningSecrets

webhooks = typer.Typer(name="webhooks", help="The secrets that webhooks are signed with.", no_args_is_help=True)
Tenant = Annotated[str, typer.Option(help="Whose; by default, of a service that is open to all.")]


@webhooks.command()
def secret(tenant: Tenant = "") -> None:
    """Print the secret to give to receivers. It is made when first asked for.

    \b
    Examples:
      GUIDEPOST_REDIS_URL=redis://localhost:6379 guidepost webhooks secret
    """
    with _secrets() as secrets:
        print(secrets.current(tenant))


@webhooks.command()
def rotate(tenant: Tenant = "") -> None:
    """Make a new secret and print it. For a day, messages are signed with the old one too.

    \b
    Examples:
      GUIDEPOST_REDIS_URL=redis://localhost:6379 guidepost webhooks rotate --tenant anna
    """
    with _secrets() as secrets:
        print(secrets.rotate(tenant))


@contextmanager
def _secrets() -> Iterator["SigningSecrets"]:
    from cli.redis import reached_redis
    from jobs.connection import AWAY, connect
    from jobs.settings import Settings
    from jobs.signing import SigningSecrets

    settings = Settings()
    try:
        with reached_redis(settings) as url, connect(settings.model_copy(update={"redis_url": url})) as redis:
            yield SigningSecrets(redis)
    except (*AWAY, RuntimeError) as error:  # RuntimeError: the embedded Redis does not start
        print(f"Redis does not answer: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
