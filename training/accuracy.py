"""`python -m training.accuracy`: how much of a noisy scene the shipped classifier sees, at each noise level."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Generator, Tensor

from guidance.models.classifier import FOLDER, NoisyClassifier
from training.classifier import GROUPS, by_group, labels, noisy
from training.intervals import Estimate, share
from training.measure import load
from training.paint import render
from training.pictures import draw_scenes, to_bytes
from training.plots import plot_accuracy
from training.record import write_json
from training.scenes import PATTERN_SHARES
from training.table import ROOT
from training.unet import noise_levels
from training.vae import encode

SEED = 424_249
SCENES = 1_000
LEVELS = 17
LISTED = 2  # the table has every second level
CHUNK = 100
GUESS = {name: 1 / len(classes) for name, classes in GROUPS.items()} | {"pattern": max(PATTERN_SHARES)}
"""Share of right answers without looking."""


@dataclass(frozen=True)
class Level:
    """What the classifier says at network time t, by group."""

    t: int
    sigma: float
    """sigma / alpha, as in the service's schedules."""
    accuracy: dict[str, Estimate]
    loss: dict[str, float]
    """Mean of -log p(class | x), in nats."""


def load_classifier(folder: Path) -> NoisyClassifier:
    classifier = NoisyClassifier.from_pretrained(folder / FOLDER, dtype=torch.float32, local_files_only=True)
    return cast(NoisyClassifier, classifier.eval())


def spread_times(count: int) -> list[int]:
    """Network times from the first to the last, as evenly as can be in log(sigma / alpha)."""
    levels = noise_levels()
    known = (levels.sigma / levels.alpha).log()
    wanted = torch.linspace(float(known[0]), float(known[-1]), count)
    return sorted({int((known - ratio).abs().argmin()) for ratio in wanted})


@torch.no_grad()
def assess(classifier: NoisyClassifier, latents: Tensor, truth: Tensor, t: int, seed: int = SEED) -> Level:
    """One level: latents (N, 4, 16, 16) of single scenes labelled `truth` (N, groups), each noised once."""
    levels, times = noise_levels(), torch.full((len(latents),), t)
    eps = torch.randn(latents.shape, generator=Generator().manual_seed(seed))
    parts = zip(torch.split(noisy(latents, times, eps, levels), CHUNK), torch.split(times, CHUNK), strict=True)
    log = by_group(torch.cat([classifier(x, part) for x, part in parts]))
    named = [(name, part, truth[:, place]) for place, (name, part) in enumerate(zip(GROUPS, log, strict=True))]
    return Level(
        t,
        float(levels.sigma[t] / levels.alpha[t]),
        {name: share((part.argmax(1) == right).tolist()) for name, part, right in named},
        {name: float(-part.gather(1, right[:, None]).mean()) for name, part, right in named},
    )


def markdown(levels: Sequence[Level]) -> str:
    """Shares of right answers by noise level and group, and those of a guess."""
    lines = ["| sigma / alpha | " + " | ".join(GROUPS) + " |", "|" + "---|" * (len(GROUPS) + 1)]
    for level in levels:
        lines.append(row(f"{level.sigma:.3g}", {name: share.value for name, share in level.accuracy.items()}))
    return "\n".join([*lines, row("a guess", GUESS)]) + "\n"


def row(name: str, shares: dict[str, float]) -> str:
    return " | ".join([f"| {name}", *(f"{shares[group]:.2f}" for group in GROUPS)]) + " |"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.accuracy", description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "shapes", help="pipeline folder to measure")
    parser.add_argument("--out", type=Path, help="folder of the results (default: assets/ in the model's folder)")
    parser.add_argument("--scenes", type=int, default=SCENES, help="single scenes, none of them trained on")
    given = parser.parse_args(arguments)
    out = given.out or given.model / "assets"
    scenes = draw_scenes(given.scenes, SEED, pair_share=0.0)
    latents, truth = encode(load(given.model).vae, to_bytes(render(scenes))), labels(scenes)
    classifier = load_classifier(given.model)
    levels = [assess(classifier, latents, truth, t) for t in spread_times(LEVELS)]
    report = {"levels": [asdict(level) for level in levels], "scenes": given.scenes, "seed": SEED}
    write_json(report, out / "accuracy.json")
    (out / "accuracy.md").write_text(markdown(levels[::LISTED]))
    plot_accuracy(
        [level.sigma for level in levels],
        {name: [level.accuracy[name] for level in levels] for name in GROUPS},
        GUESS,
        out / "accuracy.png",
    )
    print(markdown(levels[::LISTED]), end="")


if __name__ == "__main__":
    main()
