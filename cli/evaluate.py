"""`guidepost evaluate`: a sweep of guidance specs, sampled and measured in this process, as a report."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    sweep: Annotated[Path, typer.Argument(help="The sweep, in YAML (docs/evaluation.md).", dir_okay=False)],
    size: Annotated[str, typer.Option(help="quick or full: which of the sweep's counts.")] = "quick",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the report. Default: outputs/evaluation/<name>-<size>.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="Folder of what was sampled and measured before.")] = Path(
        ".cache/evaluation"
    ),
) -> None:
    """Measure every point of a sweep: FID, precision, recall, captions, saturation, cost, with intervals and plots.

    \b
    Stopped at any moment, it goes on from there; what was sampled once is not sampled again.
    Examples:
      guidepost evaluate evaluation/standard.yaml
      guidepost evaluate evaluation/standard.yaml --size full --out reports/standard
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from evaluation.report import page, write
    from evaluation.run import run
    from evaluation.sampling import SamplingFailed
    from evaluation.sweep import SIZES, SweepProblems, read_sweep
    from workers.loading import ModelError

    if size not in SIZES:
        raise typer.BadParameter(f"{size!r} is not one of {', '.join(SIZES)}", param_hint="--size")
    try:
        asked = read_sweep(sweep)
        done = run(asked, size, cache)
    except SweepProblems as problems:
        _fail(*problems.lines)
    except (ModelError, SamplingFailed) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail(f"Stopped. What is complete lies in {cache}: the same command goes on from there.")
    typer.echo(page(done))
    for path in write(done, out or Path("outputs/evaluation") / f"{asked.name}-{size}"):
        typer.echo(str(path))


def _fail(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)
    raise typer.Exit(1)
