"""`python -m training`: train the demo model from nothing, or go on where the last run stopped."""

import argparse
import os
from dataclasses import fields, replace
from pathlib import Path

from training.run import QUICK, Settings, train

ROOT = Path(__file__).parents[1]
HELP = {
    "seed": "every random choice follows from it",
    "p_uncond": "probability of training a sample without its caption (Ho & Salimans: 0.1 to 0.2)",
    "scenes": "number of encoded scenes the denoiser sees",
    "pool": "number of rendered scenes the autoencoder sees",
    "vae_steps": "optimizer steps of the autoencoder",
    "steps": "optimizer steps of the denoiser; a resumed run with fewer finishes its cosine earlier",
    "batch": "samples per step",
    "rate": "peak learning rate of the denoiser",
    "times": "distribution of the noise levels: focused, or log_snr (Ho & Salimans)",
    "focus": "share of the noise levels drawn where shapes are decided; the others are uniform",
    "classifier_steps": "optimizer steps of the classifier",
    "preview_steps": "sampling steps of the grid of samples, written eight times during the training",
}


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    arguments.add_argument("--out", type=Path, default=ROOT / "models" / "shapes", help="pipeline folder to write")
    arguments.add_argument("--work", type=Path, default=ROOT / ".cache" / "training", help="checkpoints and caches")
    arguments.add_argument("--quick", action="store_true", help="seconds instead of hours: proves the plumbing")
    for field in fields(Settings):
        flag = "--" + field.name.replace("_", "-")
        arguments.add_argument(flag, type=type(field.default), help=f"{HELP[field.name]} (default {field.default})")
    return arguments


def main(arguments: list[str] | None = None) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is ever downloaded
    given = parser().parse_args(arguments)
    chosen = {f.name: getattr(given, f.name) for f in fields(Settings) if getattr(given, f.name) is not None}
    settings = replace(QUICK if given.quick else Settings(), **chosen)
    size = train(settings, given.out, given.work)
    print(f"{given.out}: {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
