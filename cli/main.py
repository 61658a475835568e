"""The `guidepost` command. Each command lives in the module of its name and imports what it needs when it runs."""

import typer

from cli.compare import compare
from cli.demo import demo
from cli.evaluate import evaluate
from cli.generate import generate
from cli.inspect import inspect
from cli.keys import keys
from cli.listing import methods, models, openapi
from cli.up import serve, up, worker
from cli.webhooks import webhooks

app = typer.Typer(
    name="guidepost",
    help="Sample diffusion models under many guidance methods: a REST service and its command line.",
    epilog="Settings are environment variables named GUIDEPOST_*; docs/settings.md lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for command in (up, serve, worker, generate, compare, evaluate, inspect, methods, models, openapi, demo):
    app.command()(command)

app.add_typer(keys, name="keys")
app.add_typer(webhooks)
