"""`python -m benchmarks.cuda`: every benchmark on a GPU, on `shapes` and on networks shaped like SD 1.5 and SDXL.

The pipelines with random weights are written once, beside the reports. `make cuda` runs the tests first.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from benchmarks.__main__ import main as measure
from benchmarks.catalogue import NAMES, ON_REQUEST
from benchmarks.shaped import SHAPES, make

OUTPUT = Path("outputs/cuda")
MISSING = "benchmarks.cuda needs an NVIDIA GPU that torch sees: there is none here"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cuda", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, help=f"folder of the reports (default: {OUTPUT})")
    given, others = parser.parse_known_args(arguments)  # the rest is for `python -m benchmarks`
    if not torch.cuda.is_available():
        sys.exit(MISSING)
    models = {"shapes": "shapes"} | {name: str(written(name, given.output / "models" / name)) for name in SHAPES}
    only = [word for name in NAMES + ON_REQUEST for word in ("--only", name)] if "--only" not in others else []
    runs = [
        measure(["--model", model, "--device", "cuda", "--output", str(given.output / name), *only, *others])
        for name, model in models.items()
    ]
    return max(runs)


def written(name: str, folder: Path) -> Path:
    """The pipeline folder, made if it is not there yet."""
    return folder if (folder / "model_index.json").is_file() else make(SHAPES[name], folder, torch.float16)


if __name__ == "__main__":
    sys.exit(main())
