"""`python -m benchmarks`: measure everything, and write one report. About 25 minutes on two quiet cores."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.catalogue import NAMES
from jobs.settings import Settings

SETTINGS = {"device": str, "dtype": str, "threads": int, "max_batch_rows": int}
"""Settings of the service that may be given here, with their types."""

EXAMPLES = """examples:
  python -m benchmarks
  python -m benchmarks --only sharing --only single --repetitions 9
  python -m benchmarks --model /models/sd15 --device cuda --dtype float16
  python -m benchmarks --quick
"""


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Guidepost against stock diffusers. A figure compares two things measured in the same run.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("--model", default="shapes", help="Stable Diffusion folder or hub id (default: shapes)")
    arguments.add_argument("--only", action="append", choices=NAMES, help="this benchmark; may be repeated")
    arguments.add_argument("--repetitions", type=positive, default=5, help="of each timing, interleaved (default: 5)")
    arguments.add_argument("--specs", type=positive, default=500, help="random specs of `exactness` (default: 500)")
    arguments.add_argument("--quick", action="store_true", help="proves the plumbing; its speeds mean nothing")
    arguments.add_argument("--output", type=Path, default=Path("outputs/benchmarks"), help="folder of the report")
    for name, kind in SETTINGS.items():
        about = f"{Settings.model_fields[name].description} (default: GUIDEPOST_{name.upper()})"
        arguments.add_argument("--" + name.replace("_", "-"), type=kind, help=about)
    return arguments


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 when all was measured, whatever came out; 1 when some could not be."""
    given = parser().parse_args(arguments)
    try:
        settings = Settings(**{name: getattr(given, name) for name in SETTINGS if getattr(given, name) is not None})
    except ValueError as error:
        parser().error(str(error))
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from benchmarks.run import run
    from workers.loading import ModelError

    names = [name for name in NAMES if name in (given.only or NAMES)]
    scale = {"repetitions": 1, "specs": 4} if given.quick else {"repetitions": given.repetitions, "specs": given.specs}
    try:
        report = run(names, given.model, settings, given.output, quick=given.quick, **scale)
    except ModelError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
