"""`python -m training.variants`: the demo model at a small budget, once for each p_uncond, for the claim about it.

Ho & Salimans 2022, arXiv:2207.12598, section 4.2, compare 0.1, 0.2 and 0.5. Autoencoder and text encoder are those of
the shipped model; the denoisers begin at the same weights, and see the same scenes, captions and noise.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from training.__main__ import ROOT
from training.export import export_pipeline
from training.latents import cached_latents
from training.measure import load
from training.settings import Settings, claim_folder
from training.stages import SCENE_SEED, train_denoiser

SHARES = (0.1, 0.2, 0.5)
BUDGET = Settings(scenes=16_000, steps=2_500)


def train_variants(settings: Settings, model: Path, out: Path) -> list[Path]:
    """Pipeline folders `out`/p_uncond-0.1 and so on, with their work folders beside them; resumes."""
    parts = load(model)
    data = cached_latents(parts.vae, settings.scenes, settings.seed + SCENE_SEED, out / "latents.pt")
    folders = []
    for share in SHARES:
        folder = out / f"p_uncond-{share:g}"
        work, chosen = folder.with_name(f"{folder.name}-work"), replace(settings, p_uncond=share)
        claim_folder(chosen, work)
        denoiser = train_denoiser(chosen, data, parts.denoiser.text_encoder, parts.tokenizer, work)
        export_pipeline(parts.vae, denoiser, parts.tokenizer, folder)
        folders.append(folder)
    return folders


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.variants", description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "shapes", help="whose latents and captions")
    parser.add_argument("--out", type=Path, default=ROOT / ".cache" / "variants", help="folder of the variants")
    parser.add_argument("--steps", type=int, default=BUDGET.steps, help="optimizer steps of each")
    parser.add_argument("--scenes", type=int, default=BUDGET.scenes, help="number of encoded scenes")
    parser.add_argument("--batch", type=int, default=BUDGET.batch, help="samples per step")
    parser.add_argument("--precision", default=BUDGET.precision, help="float32 or bfloat16")
    parser.add_argument("--compile", action="store_true", help="translate the denoisers to C++ first")
    given = parser.parse_args(arguments)
    chosen = {name: value for name, value in vars(given).items() if name not in ("model", "out")}
    for folder in train_variants(replace(BUDGET, **chosen), given.model, given.out):
        print(folder)


if __name__ == "__main__":
    main()
