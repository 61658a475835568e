"""`guidepost methods`, `models` and `openapi`: what there is to ask for."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

Url = Annotated[str, typer.Option(envvar="GUIDEPOST_URL", help="The service.")]
DEFAULT_URL = "http://127.0.0.1:8000"


def methods(
    json: Annotated[
        bool, typer.Option("--json", help="The whole catalogue, with the JSON Schema of each method.")
    ] = False,
) -> None:
    """List every guidance method, schedule and sampler, and the presets.

    \b
    Examples:
      guidepost methods
      guidepost methods --json | jq '.combiner[0].schema'
    """
    from guidance.catalogue import catalogue

    listed = catalogue()
    if json:
        _print_json(listed)
        return
    rows = [
        (stage, entry["type"], entry["summary"], entry["paper"])
        for stage in listed
        if stage != "presets"
        for entry in listed[stage]
    ]
    rows += [("preset", entry["name"], entry["summary"], entry["paper"]) for entry in listed["presets"]]
    print_table(("stage", "type", "what it does", "source"), rows)


def models(url: Url = DEFAULT_URL) -> None:
    """List the models that live workers of a running service have loaded.

    \b
    Examples:
      guidepost models
      guidepost models --url http://gpu-box:8000
    """
    from cli.client import Service
    from cli.run import complain

    with complain(), Service(url) as service:
        listed = service.get("/v1/models")["data"]
    print_table(
        ("model", "family", "condition", "size", "parameters", "can"),
        [
            (
                m["id"],
                m["family"],
                m["condition"],
                f"{m['width']}x{m['height']}",
                f"{m['parameters']:,}",
                " ".join(m["capabilities"]),
            )
            for m in listed
        ],
    )


def openapi() -> None:
    """Print the OpenAPI document of the service, as openapi.yaml holds it."""
    from service.openapi import document_yaml

    typer.echo(document_yaml(), nl=False)


def _print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, indent=2))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console.width = 200  # a pipe has no width: keep one row one line
    console.print(table, markup=False)
