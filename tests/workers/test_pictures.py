"""Pictures from a real network through the engine: S-CFG's segments and weights, SAG's mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from guidance.models.stable_diffusion import StableDiffusion
from guidance.pictures import END, PADDING, PICTURES, START
from jobs.request import GenerationRequest, resolve
from tests.guidance import folders
from tests.workers.conftest import run_to_end
from workers.delivery import document, drawn
from workers.engine import Engine
from workers.task import Image, Task

BODY: dict[str, Any] = {
    "model": "tiny",
    "prompt": "a b",
    "seed": 0,
    "diagnostics": "full",
    "sampler": {"type": "ddim", "steps": 3},
    "guidance": {
        "schedule": {"type": "constant", "weight": 5},
        "combiner": {"type": "s_cfg"},
        "perturbation": [{"type": "sag"}],
    },
}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion:
    folder = folders.make(tmp_path_factory.mktemp("pipelines") / "tiny")
    return StableDiffusion.load(folder, "tiny", torch.device("cpu"), torch.float32)


def task(net: StableDiffusion, **fields: Any) -> Task:
    return Task("task", resolve(GenerationRequest.model_validate(BODY | fields), net.info))


def images(net: StableDiffusion, *tasks: Task) -> list[Image]:
    """The first image of each, made in one batch."""
    return [outcome.images[0] for outcome in run_to_end(Engine({"tiny": net}, 16), tasks)]


def test_every_step_leaves_its_pictures_over_the_latents_cells(net: StableDiffusion) -> None:
    [image] = images(net, task(net))
    assert image.pictures.keys() == {"sag_mask", "segments", "weight_factor"} == PICTURES.keys()
    for frames in image.pictures.values():
        assert [frame.step for frame in frames] == [0, 1, 2]
        assert [frame.sigma for frame in frames] == pytest.approx(image.columns["sigma"])
        assert {frame.cells.shape for frame in frames} == {(8, 8)}
    weights = [(frame.cells.min(), frame.cells.max()) for frame in image.pictures["weight_factor"]]
    columns = (image.columns["weight_factor_min"], image.columns["weight_factor_max"])
    assert weights == [pytest.approx(pair) for pair in zip(*columns, strict=True)]
    assert image.pictures["segments"][0].names == (START, "a", "b", END, *[PADDING] * 8)


@pytest.mark.parametrize("detail", ["off", "summary"])
def test_less_than_full_diagnostics_have_none(net: StableDiffusion, detail: str) -> None:
    [image] = images(net, task(net, diagnostics=detail))
    assert image.pictures == {}


def test_steps_without_guidance_leave_none(net: StableDiffusion) -> None:
    early = {"type": "truncated", "weight": 5, "ratio": 0.7}
    [image] = images(net, task(net, guidance={"schedule": early, "combiner": {"type": "s_cfg"}}))
    assert [frame.step for frame in image.pictures["segments"]] == [0, 1]


def test_pictures_do_not_depend_on_the_batch(net: StableDiffusion) -> None:
    [alone] = images(net, task(net))
    other = {"schedule": {"type": "constant", "weight": 3}, "combiner": {"type": "s_cfg", "finest": 1}}
    [_, mixed, _] = images(net, task(net, prompt="c", guidance=other), task(net), task(net, seed=9, guidance={}))
    for name, frames in alone.pictures.items():
        for one, another in zip(frames, mixed.pictures[name], strict=True):
            assert np.array_equal(one.cells, another.cells), name


def test_a_swap_names_the_words_of_each_step(net: StableDiffusion) -> None:
    swap = {"type": "swap", "changes": [{"prompt": "c", "at": 0.5}]}
    [image] = images(net, task(net, guidance=BODY["guidance"] | {"condition": [swap]}))
    texts = [frame.names[1:-8] for frame in image.pictures["segments"]]
    assert texts == [("a", "b", END), ("a", "b", END), ("c", END, PADDING)]


def test_the_document_lists_what_was_drawn_and_only_that(net: StableDiffusion) -> None:
    request = task(net, n=2)
    [outcome] = run_to_end(Engine({"tiny": net}, 16), [request])
    sheets = drawn(outcome, request.request)
    written = document(outcome, request.request, sheets)
    assert written is not None
    for image in written["images"]:
        for listed, sheet in zip(image["pictures"], sheets[image["index"]], strict=True):
            assert (listed["name"], listed["sha256"], listed["steps"]) == (sheet.name, sheet.sha256, [0, 1, 2])
            assert listed["meaning"] == PICTURES[sheet.name].text
            assert (listed["width"], listed["height"]) == (sheet.width, sheet.height)
    [plain] = run_to_end(Engine({"tiny": net}, 16), [no_pictures := task(net, guidance={})])
    written = document(plain, no_pictures.request, drawn(plain, no_pictures.request))
    assert written is not None and written["images"][0]["pictures"] == []
