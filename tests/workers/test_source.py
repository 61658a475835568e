"""Generations that begin from a picture, through the engine: reconstructed, counted, the same in any batch."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from guidance.inversion import inversion_spec
from guidance.models.base import Model
from guidance.models.gaussians import Gaussians
from guidance.models.stable_diffusion import StableDiffusion
from guidance.picture import data_url
from guidance.plan import plan
from jobs.encoding import encode
from jobs.request import GenerationRequest, resolve
from tests.workers.conftest import run_to_end, updates
from workers.engine import Engine
from workers.task import Outcome, Progress, Task

FOLDER = Path(__file__).parents[2] / "models" / "shapes"
SHOWN: dict[str, dict[str, Any]] = {"gaussians": {"label": 1}, "shapes": {"prompt": "a small red star"}}
OTHER: dict[str, dict[str, Any]] = {"gaussians": {"label": 2}, "shapes": {"prompt": "a large blue ring"}}
CFG = {"schedule": {"type": "constant", "weight": 3}}
CFGPP = {"combiner": {"type": "cfgpp"}, "schedule": {"type": "constant", "weight": 0.6}}
MODELS = ("gaussians", "shapes")
FLOOR = {"gaussians": 25.0, "shapes": 33.0}


@cache
def net(name: str) -> Model:
    if name == "gaussians":
        return Gaussians.pictures()
    return StableDiffusion.load(FOLDER, name, torch.device("cpu"), torch.float32)


def task(name: str, **fields: Any) -> Task:
    body = {"model": name, "seed": 1, "sampler": {"type": "ddim", "steps": 20}, "guidance": CFG} | fields
    return Task("task", resolve(GenerationRequest.model_validate(body), net(name).info))


def made(name: str, *tasks: Task) -> list[Outcome]:
    return run_to_end(Engine({name: net(name)}, 16), tasks)


def pixels(outcome: Outcome) -> NDArray[np.uint8]:
    return outcome.images[0].pixels


@cache
def drawn(name: str) -> NDArray[np.uint8]:
    [outcome] = made(name, task(name, **SHOWN[name]))
    return pixels(outcome)


def source(name: str, **more: Any) -> dict[str, Any]:
    return {"image": data_url(encode(drawn(name), "png"))} | more


def decibels(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


@pytest.mark.parametrize("guidance", [CFG, CFGPP], ids=["cfg", "cfgpp"])
@pytest.mark.parametrize("name", MODELS)
def test_a_picture_is_reconstructed_by_what_it_shows(name: str, guidance: dict[str, Any]) -> None:
    """Whatever the seed; another source prompt leads elsewhere."""
    back, elsewhere = made(
        name,
        task(name, **SHOWN[name], seed=9, source=source(name), guidance=guidance),
        task(name, **OTHER[name], source=source(name, **SHOWN[name]), guidance=guidance),
    )
    assert decibels(pixels(back), drawn(name)) > FLOOR[name]
    assert not np.array_equal(pixels(elsewhere), pixels(back))


def test_a_sample_of_the_shipped_model_survives_its_encoder() -> None:
    """Its mean, unscaled and scaled back: what is lost is the autoencoder's."""
    model = net("shapes")
    x = torch.from_numpy(drawn("shapes")).permute(2, 0, 1)[None].float() / 127.5 - 1
    sample = model.encode_picture(x)
    assert sample.shape == model.shape(64, 64) and sample.dtype == model.dtype
    assert torch.equal(sample, model.encode_picture(x))
    assert -10 * float((model.decode(sample) - (x / 2 + 0.5)).square().mean().log10()) > 36


@pytest.mark.parametrize("name", MODELS)
def test_its_bits_do_not_depend_on_the_batch(name: str) -> None:
    begun = {"source": source(name, **SHOWN[name], weight=1), "sampler": {"type": "euler", "steps": 5}}
    [alone] = made(name, task(name, **OTHER[name], **begun))
    mixed, *_ = made(
        name,
        task(name, **OTHER[name], **begun),
        task(name, **SHOWN[name], sampler={"type": "heun", "steps": 4}, n=3),
        task(name, **SHOWN[name], source=source(name), guidance=CFGPP, sampler={"type": "ddim", "steps": 7}),
    )
    assert np.array_equal(pixels(alone), pixels(mixed))


@pytest.mark.parametrize(("weight", "up"), [(None, 2), (1, 1)])
def test_evaluations_of_the_way_up_are_planned_counted_and_told(weight: float | None, up: int) -> None:
    asked = task("gaussians", label=1, source=source("gaussians", weight=weight), sampler={"type": "ddim", "steps": 6})
    engine = Engine({"gaussians": net("gaussians")}, 16)
    engine.submit(asked)
    engine.stop()
    engine.run()
    *told, outcome = updates(asked)
    request, info = asked.request, net("gaussians").info
    planned = plan(inversion_spec(request.guidance, weight), request.sampler, info).nfe
    assert planned == 6 * up
    assert outcome.usage.nfe == planned + plan(request.guidance, request.sampler, info).nfe == 6 * (up + 2)
    progress = [update for update in told if isinstance(update, Progress)]
    assert {update.nfe_total for update in progress} == {6 * (up + 2)}
    rising = [update.nfe_done for update in progress if update.step == 0]
    assert rising == list(range(up, 6 * up + 1, up))
    assert len(outcome.images[0].columns["nfe"]) == 6 and sum(outcome.images[0].columns["nfe"]) == 12


def test_what_acts_on_the_way_down_only_leaves_the_way_up_alone() -> None:
    """The perturbation is evaluated in 20 steps, not in 40."""
    more = CFG | {"perturbation": [{"type": "pag"}], "correction": [{"type": "rescale"}]}
    [outcome] = made("shapes", task("shapes", **SHOWN["shapes"], source=source("shapes"), guidance=more))
    assert outcome.usage is not None and outcome.usage.nfe == 20 * 2 + 20 * 3


def test_a_picture_drawn_by_hand_is_reconstructed() -> None:
    drawing = Image.new("RGB", (64, 64), (230, 230, 230))
    drawing.paste((40, 90, 200), (20, 20, 44, 44))
    image = data_url(encode(np.asarray(drawing), "png"))
    [back] = made("shapes", task("shapes", prompt="a blue square", source={"image": image}))
    assert decibels(pixels(back), np.asarray(drawing)) > 15
