"""What guidance does to the demo model, measured on the shipped folder with the analytic checker."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch import Generator, Tensor
from transformers import CLIPTokenizer

from training.captions import Claims, ThingClaim, draw_claims, phrase
from training.checker import judge, read
from training.intervals import Estimate, entropy_estimate, share
from training.paint import render
from training.pictures import draw_scenes, to_bytes
from training.sampling import draw_noise, sample
from training.scenes import Combinations, Scene
from training.segments import coloured
from training.stage import save_atomically
from training.unet import Denoiser
from training.vae import decode, encode, psnr

ATTRIBUTES = ("count", "shape", "colour", "size", "tone", "pattern", "relation")
OPEN_CAPTION = "a star"


@dataclass(frozen=True)
class Model:
    """The parts of a pipeline folder that sampling needs, in float32."""

    denoiser: Denoiser
    vae: AutoencoderKL
    tokenizer: CLIPTokenizer


def load(folder: Path) -> Model:
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    denoiser = Denoiser(pipeline.unet, pipeline.text_encoder).channels_last()
    return Model(denoiser.eval(), pipeline.vae.eval(), pipeline.tokenizer)


@dataclass(frozen=True)
class Counts:
    """How many captions of each kind; each a name in `Questions.claims`, but for "a star"."""

    singles: int
    """One thing, of a combination of shape and colour that was trained on."""
    pairs: int
    """Two such things and their relation."""
    unseen: int
    """One thing, of a combination that was held out of training; its caption states both."""
    unseen_pairs: int
    """Two such things."""
    opens: int
    """"a star": what it leaves open shows diversity."""


@dataclass(frozen=True)
class Questions:
    """Captions and initial noise, the same at every weight."""

    claims: dict[str, list[Claims]]
    """By kind, in the order of the captions."""
    captions: list[str]
    noise: Tensor
    opens: int


def draw_questions(counts: Counts, seed: int) -> Questions:
    """Captions of fresh scenes, kind by kind, then "a star"."""
    kinds: dict[str, tuple[int, float, Combinations]] = {
        "singles": (counts.singles, 0.0, "seen"),
        "pairs": (counts.pairs, 1.0, "seen"),
        "unseen": (counts.unseen, 0.0, "unseen"),
        "unseen_pairs": (counts.unseen_pairs, 1.0, "unseen"),
    }
    generator = Generator().manual_seed(seed)
    claims = {}
    for place, (kind, (count, pair_share, combinations)) in enumerate(kinds.items()):
        always = ("shape", "colour") if combinations == "unseen" else ()
        scenes = draw_scenes(count, seed + place, pair_share, combinations)
        claims[kind] = [draw_claims(scene, generator, always) for scene in scenes]
    captions = [phrase(claim) for drawn in claims.values() for claim in drawn] + [OPEN_CAPTION] * counts.opens
    return Questions(claims, captions, draw_noise(len(captions), seed + 10_000), counts.opens)


def verdicts(pictures: Tensor, claims: Sequence[Claims]) -> list[dict[str, bool]]:
    return [judge(read(picture), claim) for picture, claim in zip(pictures, claims, strict=True)]


def by_attribute(judged: Sequence[dict[str, bool]]) -> dict[str, Estimate]:
    """Share of right answers per attribute, over the captions that state it, and of captions right in everything."""
    stated = {name: [verdict[name] for verdict in judged if name in verdict] for name in ATTRIBUTES}
    rows = {name: share(outcomes) for name, outcomes in stated.items() if outcomes}
    return {"all": share([all(verdict.values()) for verdict in judged])} | rows


@dataclass(frozen=True)
class Row:
    """One weight's line of the table."""

    w: float
    right: dict[str, dict[str, Estimate]]
    """By kind of caption, then by attribute."""
    colour_entropy: Estimate
    chroma: float
    out_of_range: float
    latent_std: float


def sampled(model: Model, questions: Questions, w: float, steps: int, cache: Path) -> Tensor:
    """Latents of every question at weight w, from `cache` if the same network has answered the same questions."""
    digest = hashlib.sha256(repr((questions.captions, w, steps)).encode() + questions.noise.numpy().tobytes())
    for weight in model.denoiser.state_dict().values():
        digest.update(weight.contiguous().numpy().tobytes())
    path = cache / f"w-{w:g}.pt"
    if path.exists() and (saved := torch.load(path, weights_only=True))["key"] == digest.hexdigest():
        return cast(Tensor, saved["latents"])
    latents = sample(model.denoiser, model.tokenizer, questions.captions, questions.noise, w, steps)
    save_atomically({"key": digest.hexdigest(), "latents": latents}, path)
    return latents


def assess(model: Model, questions: Questions, w: float, latents: Tensor) -> tuple[Row, Tensor]:
    """Judge the answers at weight w; also returns the pictures (N, 3, 64, 64), unclipped."""
    pictures = decode(model.vae, latents)
    kinds = torch.split(pictures, [*map(len, questions.claims.values()), questions.opens])
    right = {
        kind: by_attribute(verdicts(shown, claims))
        for (kind, claims), shown in zip(questions.claims.items(), kinds[:-1], strict=True)
        if claims
    }
    opens = [read(picture).things for picture in kinds[-1]]
    colours = [things[0].colour for things in opens if things]
    row = Row(
        w,
        right,
        entropy_estimate(colours, Generator().manual_seed(0)),
        chroma(kinds[0]),
        float(((pictures < 0) | (pictures > 1)).float().mean()),
        float(latents.std()),
    )
    return row, pictures


def chroma(pictures: Tensor) -> float:
    """Mean of max - min over the channels, over the pixels of coloured things: how saturated they are."""
    clipped = pictures.clamp(0, 1)
    return float((clipped.amax(1) - clipped.amin(1))[coloured(clipped)].mean())


def everything(scene: Scene) -> Claims:
    """All of a scene's attributes, stated."""
    single = len(scene.things) == 1
    things = tuple(ThingClaim(thing.shape, thing.colour, thing.size if single else None) for thing in scene.things)
    return Claims(things, scene.relation, scene.tone, scene.pattern)


def validate(model: Model, count: int, seed: int) -> dict[str, dict[str, Estimate] | float]:
    """The checker on scenes whose truth is known: as drawn, and after the autoencoder."""
    scenes = draw_scenes(count, seed)
    drawn = to_bytes(render(scenes))
    decoded = decode(model.vae, encode(model.vae, drawn))
    claims = [everything(scene) for scene in scenes]
    return {
        "renders": by_attribute(verdicts(drawn / 255, claims)),
        "reconstructions": by_attribute(verdicts(decoded, claims)),
        "psnr": psnr(decoded, drawn),
    }
