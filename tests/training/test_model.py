"""The shipped model: small, complete, loaded by stock diffusers, and it knows a red star from a blue one.

So does its classifier, and its gradient makes one out of noise.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path
from string import Template

import pytest
import torch
from torch import Generator

from guidance.models.classifier import FOLDER as CLASSIFIER
from guidance.models.stable_diffusion import StableDiffusion
from guidance.noise import Level
from guidance.protocol import Branch
from training.accuracy import GUESS, assess, load_classifier
from training.captions import draw_claims, parse, phrase
from training.card import TEMPLATE, facts
from training.checker import judge, read
from training.classifier import GROUPS, labels
from training.export import BESIDE, LIMIT_BYTES, PARTS, pipeline_bytes
from training.features import FOLDER as FEATURES
from training.features import FeatureClassifier
from training.looking import told
from training.measure import Model, load
from training.paint import render
from training.pictures import draw_scenes, to_bytes
from training.run import weak_folder
from training.sampling import draw_noise, sample
from training.text import token_ids
from training.unet import denoising_loss, new_scheduler, noise_levels, uniform_times
from training.vae import decode, encode

FOLDER = Path(__file__).parents[2] / "models" / "shapes"


@pytest.fixture(scope="module")
def model() -> Model:
    return load(FOLDER)


def test_the_folder_is_complete_and_small() -> None:
    assert {path.name for path in FOLDER.iterdir()} >= {"model_index.json", "README.md", *BESIDE, *PARTS}
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


def test_the_classifier_is_sure_without_noise_and_guesses_in_nothing_but_noise(model: Model) -> None:
    scenes = draw_scenes(150, seed=31_337, pair_share=0.0)
    latents, truth = encode(model.vae, to_bytes(render(scenes))), labels(scenes)
    classifier = load_classifier(FOLDER)
    first, middle, last = (assess(classifier, latents, truth, t) for t in (0, 400, 999))
    for group in GROUPS:
        assert first.accuracy[group].value > 0.97 and first.loss[group] < 0.1, group
        assert middle.accuracy[group].low > GUESS[group], group
        assert last.accuracy[group].low < GUESS[group] < last.accuracy[group].high + 0.05, group
        assert middle.loss[group] < last.loss[group], group


def test_the_classifier_is_half_precision_on_disk_and_well_under_two_megabytes() -> None:
    weights = FOLDER / CLASSIFIER / "diffusion_pytorch_model.safetensors"
    assert weights.stat().st_size < 1.2 * 2**20
    assert all(torch.equal(weight, weight.half().float()) for weight in load_classifier(FOLDER).parameters())


def test_its_gradient_guides_the_unconditional_model_to_every_colour(model: Model) -> None:
    """Dhariwal & Nichol 2021, algorithm 2: eps - sigma s grad log p(class | x), from noise to a picture."""
    served = StableDiffusion.load(FOLDER, "shapes", torch.device("cpu"), torch.float32)
    null, levels, scheduler = served.encode(None), noise_levels(), new_scheduler()
    scheduler.set_timesteps(15)
    colours = GROUPS["colour"]
    x = draw_noise(len(colours), seed=0)
    for t in scheduler.timesteps.tolist():
        level = Level(t, float(levels.alpha[t]), float(levels.sigma[t]))
        eps = torch.cat(served.evaluate([Branch("uncond", row, level, null) for row in torch.split(x, 1)]))
        leaf = x.clone().requires_grad_()
        said = [
            served.log_probability(row, level, [served.info.classes.index(colour)])
            for row, colour in zip(torch.split(leaf, 1), colours, strict=True)
        ]
        [gradient] = torch.autograd.grad(torch.cat(said).sum(), leaf)
        x = scheduler.step(eps - level.sigma * 2 * gradient, t, x).prev_sample
    seen = [{thing.colour for thing in read(picture).things} for picture in decode(model.vae, x)]
    assert sum(colour in found for colour, found in zip(colours, seen, strict=True)) >= 6


@torch.no_grad()
def test_the_features_tell_clean_scenes_apart() -> None:
    scenes = draw_scenes(200, seed=31_338)
    features = FeatureClassifier.from_pretrained(FOLDER / FEATURES, dtype=torch.float32, local_files_only=True).eval()
    truth, _ = told(scenes)
    log = features.by_group(features(render(scenes)))
    for place, (group, part) in enumerate(log.items()):
        assert float((part.argmax(1) == truth[:, place]).float().mean()) > 0.95, group


@torch.no_grad()
def test_the_weaker_model_reads_the_same_captions_and_predicts_worse(model: Model) -> None:
    weak, levels = load(weak_folder(FOLDER)), noise_levels()
    scenes = draw_scenes(64, seed=31_339, combinations="seen")
    generator = Generator().manual_seed(0)
    ids = token_ids(model.tokenizer, [phrase(draw_claims(scene, generator)) for scene in scenes])
    latents, t = encode(model.vae, to_bytes(render(scenes))), uniform_times(64, generator)
    eps = torch.randn(latents.shape, generator=generator)
    assert torch.equal(model.denoiser.text_encoder(ids)[0], weak.denoiser.text_encoder(ids)[0])
    strong, weaker = (denoising_loss(one.denoiser, latents, ids, t, eps, levels) for one in (model, weak))
    assert float(weaker) > 1.1 * float(strong)


@torch.no_grad()
def test_which_of_two_things_is_above_matters_to_the_model(model: Model) -> None:
    """Where it is decided: exchanging the things of a caption makes the predicted noise worse."""
    levels, generator = noise_levels(), Generator().manual_seed(0)
    scenes = draw_scenes(60, seed=31_340, pair_share=1.0, combinations="seen")
    claims = [draw_claims(scene, generator, ("shape", "colour")) for scene in scenes]
    turned = [replace(claim, things=claim.things[::-1]) for claim in claims]
    latents = encode(model.vae, to_bytes(render(scenes)))
    t = torch.full((60,), int((levels.sigma / levels.alpha - 2.5).abs().argmin()))
    eps = torch.randn(latents.shape, generator=generator)
    right, wrong = (
        denoising_loss(
            model.denoiser, latents, token_ids(model.tokenizer, [phrase(one) for one in said]), t, eps, levels
        )
        for said in (claims, turned)
    )
    assert float(wrong) > 1.05 * float(right)


def test_the_model_card_is_what_the_template_says() -> None:
    assert (FOLDER / "README.md").read_text() == Template(TEMPLATE.read_text()).substitute(facts(FOLDER))
