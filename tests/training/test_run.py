"""The whole training at quick size: a folder that stock diffusers loads, and the same weights after a break."""

import shutil
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline

from training.classifier import classifier_loss
from training.export import BESIDE, PARTS, export_pipeline
from training.measure import load
from training.run import train, weak_folder
from training.settings import QUICK, claim_folder
from training.stage import Recipe, learning_rate
from training.stages import WARMUP
from training.unet import denoising_loss


def test_a_quick_training_gives_a_folder_that_the_stock_pipeline_runs(quick: Path) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(quick / "model", dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    images = pipeline(
        "a red star", num_inference_steps=2, guidance_scale=3.0, generator=generator, output_type="pt"
    ).images
    assert images.shape == (1, 3, 64, 64)
    assert bool(images.isfinite().all())


def test_the_work_folder_has_samples_and_a_preview(quick: Path) -> None:
    assert (quick / "work" / "samples.png").stat().st_size > 0
    assert {path.name for path in (quick / "work" / "preview").iterdir()} == {"model_index.json", *PARTS}


def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not bit by bit: gradients that are rounding alone (of key biases, say) reach the length of a step in Adam.

    Both begin at one autoencoder, whose own few steps magnify rounding in the same way.
    """
    (tmp_path / "work").mkdir()
    for name in ("vae.pt", "whitened.pt", "latents.pt", "text.pt"):
        shutil.copy(quick / "work" / name, tmp_path / "work")
    calls = 0

    def breaks(*arguments: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return denoising_loss(*arguments)

    monkeypatch.setattr("training.stage.CHECKPOINT_SECONDS", -1.0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("training.stages.denoising_loss", breaks)
        train(QUICK, tmp_path / "model", tmp_path / "work")
    assert not (tmp_path / "model").exists()
    train(QUICK, tmp_path / "model", tmp_path / "work")

    whole, resumed = (torch.load(root / "work" / "denoiser.pt") for root in (quick, tmp_path))
    assert resumed["step"] == whole["step"] == QUICK.steps
    assert torch.equal(resumed["generator"], whole["generator"])
    assert resumed["losses"] == pytest.approx(whole["losses"], rel=1e-3)
    recipe = Recipe(QUICK.steps, QUICK.rate, WARMUP, 0.0)
    longest = recipe.rate * sum(learning_rate(recipe, step) for step in range(QUICK.steps))
    for part in ("model", "average"):
        apart = [(resumed[part][name].double() - weight).abs().flatten() for name, weight in whole[part].items()]
        assert torch.cat(apart).mean() < 0.003 * longest, part


def test_a_finished_work_folder_without_a_classifier_trains_that_alone(
    quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted, it goes on where it stopped; what was finished is exported as it was."""
    work, calls = Path(shutil.copytree(quick / "work", tmp_path / "work")), 0
    (work / "classifier.pt").unlink()

    def breaks(*arguments: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return classifier_loss(*arguments)

    for stage in ("vae_loss", "reading_loss", "denoising_loss", "looking_loss"):
        monkeypatch.setattr(f"training.stages.{stage}", lambda *arguments: pytest.fail("trained again"))
    monkeypatch.setattr("training.stage.CHECKPOINT_SECONDS", -1.0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("training.stages.classifier_loss", breaks)
        train(QUICK, tmp_path / "model", work)
    assert torch.load(work / "classifier.pt")["step"] == 2
    train(QUICK, tmp_path / "model", work)

    whole, resumed = (torch.load(folder / "classifier.pt") for folder in (quick / "work", work))
    assert resumed["step"] == QUICK.classifier_steps
    assert resumed["losses"] == pytest.approx(whole["losses"], rel=1e-4)
    weights = Path("unet") / "diffusion_pytorch_model.safetensors"
    assert (tmp_path / "model" / weights).read_bytes() == (quick / "model" / weights).read_bytes()


def test_the_weaker_model_lies_beside_and_reads_as_the_model_does(quick: Path) -> None:
    model, weak = load(quick / "model"), load(weak_folder(quick / "model"))
    assert sum(w.numel() for w in weak.denoiser.unet.parameters()) < 0.3 * sum(
        w.numel() for w in model.denoiser.unet.parameters()
    )
    for part in ("denoiser.text_encoder", "vae"):
        ours, theirs = (attrgetter(part)(one).state_dict() for one in (model, weak))
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_denoiser_takes_the_text_encoder_as_it_is(quick: Path) -> None:
    read = torch.load(quick / "work" / "text.pt")["average"]
    taken = torch.load(quick / "work" / "denoiser.pt")["model"]
    names = [name for name in taken if name.startswith("text_encoder.")]
    assert names and all(torch.equal(taken[name], read[name]) for name in names)


def test_a_classifier_of_other_latents_is_not_left_behind(quick: Path, tmp_path: Path) -> None:
    model = load(quick / "model")
    folder = Path(shutil.copytree(quick / "model", tmp_path / "model"))
    export_pipeline(model.vae, model.denoiser, model.tokenizer, folder)
    assert not any((folder / name).exists() for name in BESIDE)


def test_a_work_folder_belongs_to_one_run(tmp_path: Path) -> None:
    claim_folder(QUICK, tmp_path)
    claim_folder(replace(QUICK, steps=9), tmp_path)
    with pytest.raises(ValueError, match=r"p_uncond = 0\.1, not 0\.2"):
        claim_folder(replace(QUICK, p_uncond=0.2), tmp_path)
