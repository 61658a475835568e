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
    """Print the secret to give to receivers. It is made when first asked for, and kept in GUIDEPOST_REDIS_URL.

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
    from jobs.connection import AWAY, connect
    from jobs.settings import Settings
    from jobs.signing import SigningSecrets

    with connect(Settings()) as redis:
        try:
            yield SigningSecrets(redis)
        except AWAY as error:
            print(f"the Redis of GUIDEPOST_REDIS_URL does not answer: {error}", file=sys.stderr)
            raise typer.Exit(1) from None
