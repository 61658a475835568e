"""Looks at the attention belong to one evaluation each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from guidance.attention import Capture, IdentityAttention
from guidance.combiners import SCFG, Characteristic, Combiner
from guidance.models.stable_diffusion import StableDiffusion
from guidance.perturbations import Perturbation
from guidance.protocol import Branch, Conditions, drive
from guidance.registry import members
from guidance.samplers import DDIM
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.guidance.steps import a_step


@pytest.fixture(scope="module")
def net(folder: Path) -> StableDiffusion:
    return StableDiffusion.load(folder, "tiny", torch.device("cpu"), torch.float32)


def test_a_further_evaluation_keeps_the_edits_and_leaves_the_looks() -> None:
    edit, look = IdentityAttention(("mid",)), Capture(("mid",))
    watched = a_step().cond.edited(edit).edited(look)
    assert watched.attention == (edit, look)
    assert watched.another("other").attention == (edit,)


def looked_at(branches: Sequence[Branch]) -> list[Capture]:
    return [edit for branch in branches for edit in branch.attention if isinstance(edit, Capture)]


@pytest.mark.parametrize("perturbation", members("perturbation"))
@pytest.mark.parametrize("combiner", [SCFG, Characteristic])
def test_no_two_evaluations_share_a_look(
    net: StableDiffusion, combiner: type[Combiner], perturbation: type[Perturbation]
) -> None:
    """Which of them would be seen depends on who computes first: rows are computed side by side."""
    seen: list[Capture] = []

    def evaluate(branches: Sequence[Branch]) -> list[Tensor]:
        seen.extend(looked_at(branches))
        return net.evaluate(branches)

    spec = GuidanceSpec.model_validate(
        {"combiner": {"type": combiner.type_name()}, "perturbation": [{"type": perturbation.type_name()}]}
        | {"schedule": {"type": "constant", "weight": 5.0}, "condition": [{"type": "nag"}]}
    )
    conditions = Conditions(cond=net.encode("a star"), uncond=net.encode(None))
    shape = net.shape(net.info.width, net.info.height)
    with torch.no_grad():
        drive(Trajectory(net, spec, DDIM(steps=2), conditions, shape, 0, "off").run(), evaluate)
    assert len({id(look) for look in seen}) == len(seen)
    assert bool(seen) == (combiner is SCFG or perturbation.type_name() == "sag")
