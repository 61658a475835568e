"""`python -m training`: train the demo model from nothing, or go on where the last run stopped."""

import argparse
import os
from dataclasses import fields, replace
from pathlib import Path

from training.run import train
from training.settings import QUICK, Settings

ROOT = Path(__file__).parents[1]
HELP = {
    "seed": "every random choice follows from it",
    "p_uncond": "probability of training a sample without its caption (Ho & Salimans: 0.1 to 0.2)",
    "scenes": "number of encoded scenes the denoiser sees",
    "pool": "number of rendered scenes the autoencoder sees",
    "vae_steps": "optimizer steps of the autoencoder",
    "text_steps": "optimizer steps of the text encoder, on captions alone",
    "steps": "optimizer steps of the denoiser; may change on resuming, until 70 %% of them are done",
    "batch": "samples per step",
    "rate": "peak learning rate of the denoiser",
    "times": "distribution of the noise levels: focused, or log_snr (Ho & Salimans)",
    "focus": "share of the noise levels drawn where shapes are decided; the others are uniform",
    "weak_steps": "optimizer steps of the weaker model",
    "classifier_steps": "optimizer steps of the classifier of noisy latents",
    "feature_steps": "optimizer steps of the classifier of clean pictures",
    "preview_steps": "sampling steps of the grid of samples, written eight times during the training",
    "precision": "float32, or bfloat16 where the processor multiplies such matrices (AMX): a third faster there",
    "compile": "translate the denoiser to C++ first: a quarter faster after two minutes; needs a compiler",
}


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    arguments.add_argument("--out", type=Path, default=ROOT / "models" / "shapes", help="pipeline folder to write")
    arguments.add_argument("--work", type=Path, default=ROOT / ".cache" / "training", help="checkpoints and caches")
    arguments.add_argument("--quick", action="store_true", help="seconds instead of hours: proves the plumbing")
    for field in fields(Settings):
        flag = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            arguments.add_argument(flag, action="store_true", default=None, help=HELP[field.name])
        else:
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
