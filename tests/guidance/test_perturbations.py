"""Perturbations in a trajectory: beside any combiner, in the same batch, counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from guidance.models.stable_diffusion import StableDiffusion
from guidance.plan import plan
from guidance.protocol import Branch, Conditions
from guidance.samplers import DDIM
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.guidance.steps import noise

PAG = {"type": "pag", "scale": 2.0}
SEG = {"type": "seg", "scale": 1.5}
ALONE = {"type": "constant", "weight": 1.0}


@pytest.fixture(scope="module")
def net(folder: Path) -> StableDiffusion:
    return StableDiffusion.load(folder, "tiny", torch.device("cpu"), torch.float32)


def begun(net: StableDiffusion, **guidance: Any) -> Trajectory:
    conditions = Conditions(net.encode("a star"), net.encode(None))
    spec = GuidanceSpec.model_validate(guidance)
    shape = net.shape(net.info.width, net.info.height)
    return Trajectory(net, spec, DDIM(steps=4), conditions, shape, 1, "full")


def first(trajectory: Trajectory) -> tuple[list[Branch], torch.Tensor, list[torch.Tensor]]:
    """The branches of the first step, the guided output made of them, and noises that stood for the predictions."""
    run = trajectory.run()
    asked = next(run)
    said = [noise(seed, tuple(branch.x.shape), torch.float32) for seed, branch in enumerate(asked)]
    run.send(said)
    run.close()
    assert trajectory.guided is not None
    return asked, trajectory.guided.value, said


def test_perturbations_add_to_any_combiner_in_one_request(net: StableDiffusion) -> None:
    asked, guided, (cond, uncond, pag, seg) = first(begun(net, perturbation=[PAG, SEG]))
    assert [branch.name for branch in asked] == ["cond", "uncond", "pag", "seg"]
    expected = uncond + 5 * (cond - uncond) + 2.0 * (cond - pag) + 1.5 * (cond - seg)
    torch.testing.assert_close(guided, expected)


def test_alone_a_perturbation_weakens_the_conditional_branch(net: StableDiffusion) -> None:
    """Not the unconditional one, which some guiders evaluate where the weight is 1."""
    asked, guided, (cond, weak) = first(begun(net, schedule=ALONE, perturbation=[PAG]))
    assert [branch.name for branch in asked] == ["cond", "pag"]
    assert asked[1].cond is asked[0].cond and asked[1].attention and not asked[0].attention
    torch.testing.assert_close(guided, cond + 2.0 * (cond - weak))


def test_a_perturbation_goes_on_where_guidance_is_off(net: StableDiffusion) -> None:
    never = {"type": "interval", "sigma_low": 1e6, "sigma_high": None}
    asked, _, _ = first(begun(net, schedule=never, perturbation=[PAG]))
    assert [branch.name for branch in asked] == ["cond", "pag"]


def test_the_window_saves_evaluations(net: StableDiffusion) -> None:
    spec = GuidanceSpec.model_validate({"perturbation": [PAG | {"start": 0.25, "stop": 0.5}]})
    assert [call.nfe for call in plan(spec, DDIM(steps=4), net.info).calls] == [2, 3, 2, 2]


def test_scale_0_is_the_pipeline_without_it(net: StableDiffusion) -> None:
    _, plain, _ = first(begun(net))
    asked, off, _ = first(begun(net, perturbation=[PAG | {"scale": 0}]))
    assert torch.equal(plain, off) and len(asked) == 2


def test_the_length_of_the_push_is_recorded(net: StableDiffusion) -> None:
    trajectory = begun(net, schedule=ALONE, perturbation=[PAG])
    _, _, (cond, weak) = first(trajectory)
    [recorded] = trajectory.diagnostics.columns()["pag_norm"]
    assert recorded == pytest.approx(float((2.0 * (cond - weak)).norm()), rel=1e-5)


def test_s_cfg_and_pag_share_the_conditional_evaluation(net: StableDiffusion) -> None:
    trajectory = begun(net, combiner={"type": "s_cfg"}, perturbation=[PAG])
    run = trajectory.run()
    asked = next(run)
    assert [branch.name for branch in asked] == ["cond", "uncond", "pag"]
    run.send(net.evaluate(asked))
    run.close()
    low, high = (trajectory.diagnostics.columns()[f"weight_factor_{end}"][0] for end in ("min", "max"))
    assert low is not None and high is not None and 0.8 - 1e-6 <= low <= high <= 3 + 1e-6
