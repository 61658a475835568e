"""`guidepost compare`: one prompt under several guidance specs, through a running service, on one contact sheet."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.generate import condition, image_format, read_guidance, read_sampler
from cli.listing import DEFAULT_URL

if TYPE_CHECKING:
    from cli.client import Json, Service

POLL_SECONDS = 1
TABLES = {".csv": "text/csv", ".json": "application/json", ".png": "image/png", ".svg": "image/svg+xml"}


def compare(
    prompt: Annotated[str, typer.Argument(help="What to draw; for a model with labels, the number of one.")],
    spec: Annotated[
        list[str] | None, typer.Option(help="A guidance spec: JSON, @file.json, or the name of a preset. Repeatable.")
    ] = None,
    grid: Annotated[
        list[str] | None, typer.Option(help="POINTER=[values], such as /guidance/schedule/weight=[1,3]. Repeatable.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The contact sheet (.png, .webp, .jpg).")] = Path(
        "compare.png"
    ),
    guidance: Annotated[str | None, typer.Option(help="With --grid: the spec that it varies.")] = None,
    seed: Annotated[int | None, typer.Option(help="Image k of every spec has seed + k. Default: drawn.")] = None,
    n: Annotated[int, typer.Option("--n", "-n", help="Images of each spec: a column for each seed.", min=1)] = 1,
    sampler: Annotated[str | None, typer.Option(help="ddim, euler, dpmpp_2m, ... or JSON with all its fields.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the sampler.", min=1)] = None,
    model: Annotated[str | None, typer.Option(help="Model id. Default: the service's.")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What to move away from.")] = None,
    diagnostics: Annotated[
        Path | None, typer.Option(help="Also write what was measured here (.csv, .json), or a plot of it (.png, .svg).")
    ] = None,
    url: Annotated[str, typer.Option(envvar="GUIDEPOST_URL", help="The service.")] = DEFAULT_URL,
) -> None:
    """Draw a prompt under several guidance specs, all from the same noise, on one labelled sheet.

    \b
    Examples:
      guidepost compare "a red circle" --spec cfg_fixed --spec cfg_cosine -o two.png
      guidepost compare "a red circle" -n 4 --spec '{"combiner": {"type": "apg"}}' --spec '{}'
      guidepost compare "a red circle" --grid '/guidance/combiner/type=["cfg","apg"]' \\
        --grid '/guidance/schedule/weight=[1,3,7.5]' --diagnostics steps.csv
    """
    from cli.client import Service
    from cli.run import MEDIA, complain

    request = {
        "model": model,
        **condition(prompt),
        "negative_prompt": negative_prompt,
        "n": n,
        "seed": seed,
        "sampler": read_sampler(sampler, steps),
        "guidance": read_guidance(guidance),
        "specs": [{"guidance": read_guidance(text)} for text in spec] if spec else None,
        "grid": dict(map(read_axis, grid)) if grid else None,
        "diagnostics": "full" if diagnostics else "summary",
    }
    accept, table = MEDIA[image_format(output)], _table(diagnostics)
    with complain(), Service(url) as service:
        comparison = _finished(service, {name: value for name, value in request.items() if value is not None})
        _write(output, service.fetch(comparison["links"]["image"], accept))
        if diagnostics:
            _write(diagnostics, service.fetch(comparison["links"]["diagnostics"], table))


def read_axis(text: str) -> tuple[str, list[Any]]:
    """POINTER=[values] from the command line."""
    pointer, _, values = text.partition("=")
    try:
        read = json.loads(values)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"{text}: the values are not JSON: {error}", param_hint="--grid") from error
    return pointer, read if isinstance(read, list) else [read]


def _table(path: Path | None) -> str:
    if path is not None and path.suffix not in TABLES:
        raise typer.BadParameter(f"{path.name} must end in one of {', '.join(TABLES)}", param_hint="--diagnostics")
    return TABLES[path.suffix] if path else ""


def _finished(service: "Service", request: "Json") -> "Json":
    """The comparison once all of it has ended, with a bar meanwhile."""
    from cli.client import Refused
    from cli.run import bars

    comparison = service.submit(request, "/v1/comparisons")
    with bars() as progress:
        task = progress.add_task("waiting", total=comparison["progress"]["nfe_total"])
        while comparison["finished_at"] is None:
            comparison = service.awaited(comparison, POLL_SECONDS)
            progress.update(task, description="sampling", completed=comparison["progress"]["nfe_done"])
    ends = {one["label"]: one["error"] or one for one in comparison["generations"] if one["status"] != "succeeded"}
    for label, end in ends.items():
        typer.echo(f"{label}: {end.get('detail') or end['status']}", err=True)
    if len(ends) == len(comparison["generations"]):
        raise Refused({"title": f"the comparison {comparison['status']}"})
    return comparison


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    typer.echo(str(path))
