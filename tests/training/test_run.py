"""The whole training at quick size: a folder that stock diffusers loads, and the same bytes after a break."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline

from training.export import PARTS
from training.run import QUICK, claim_folder, train
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


def test_an_interrupted_training_ends_with_the_same_bytes(
    quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def breaks(*arguments: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return denoising_loss(*arguments)

    monkeypatch.setattr("training.stage.CHECKPOINT_SECONDS", -1.0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("training.run.denoising_loss", breaks)
        train(QUICK, tmp_path / "model", tmp_path / "work")
    assert not (tmp_path / "model").exists()
    train(QUICK, tmp_path / "model", tmp_path / "work")
    for whole in (quick / "model").rglob("*.safetensors"):
        resumed = tmp_path / "model" / whole.relative_to(quick / "model")
        assert resumed.read_bytes() == whole.read_bytes(), whole.name


def test_a_work_folder_belongs_to_one_run(tmp_path: Path) -> None:
    claim_folder(QUICK, tmp_path)
    claim_folder(replace(QUICK, steps=9), tmp_path)
    with pytest.raises(ValueError, match=r"p_uncond = 0\.1, not 0\.2"):
        claim_folder(replace(QUICK, p_uncond=0.2), tmp_path)
