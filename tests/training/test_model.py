"""The shipped model: small, complete, loaded by stock diffusers, and it knows a red star from a blue one."""

from itertools import product
from pathlib import Path

import pytest
import torch

from training.captions import parse
from training.checker import judge, read
from training.export import LIMIT_BYTES, PARTS, pipeline_bytes
from training.measure import Model, load
from training.sampling import draw_noise, sample
from training.vae import decode

FOLDER = Path(__file__).parents[2] / "models" / "shapes"


@pytest.fixture(scope="module")
def model() -> Model:
    return load(FOLDER)


def test_the_folder_is_complete_and_small() -> None:
    assert {path.name for path in FOLDER.iterdir()} >= {"model_index.json", "README.md", *PARTS}
    assert pipeline_bytes(FOLDER) <= LIMIT_BYTES
    assert not list(FOLDER.rglob("*.bin"))


def test_loading_says_nothing_about_missing_weights(capfd: pytest.CaptureFixture[str]) -> None:
    load(FOLDER)
    said = "".join(capfd.readouterr()).lower()
    assert "newly initialized" not in said
    assert "not used" not in said
    assert "missing" not in said


def test_most_captions_of_colour_and_tone_come_true_at_w_3(model: Model) -> None:
    pairs = product(("red", "blue", "green"), ("light", "dark"))
    captions = [f"a {colour} shape on a {tone} background" for colour, tone in pairs]
    latents = sample(model.denoiser, model.tokenizer, captions, draw_noise(6, seed=0), w=3.0, steps=12)
    right = [
        all(judge(read(picture), parse(caption)).values())
        for caption, picture in zip(captions, decode(model.vae, latents), strict=True)
    ]
    assert sum(right) >= 4


def test_weights_are_half_precision_on_disk_and_full_in_memory(model: Model) -> None:
    assert {weight.dtype for weight in model.denoiser.parameters()} == {torch.float32}
    assert all(torch.equal(weight, weight.half().float()) for weight in model.denoiser.parameters())
