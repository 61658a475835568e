"""Attention row by row, on a real network: what a row asks for, and that no other row notices."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from guidance.attention import (
    BlurredQueries,
    Capture,
    Edit,
    IdentityAttention,
    NegativeAttention,
    SkippedBlock,
    unknown,
)
from guidance.conditions import NAG
from guidance.models.attention import Rows, blurred, layer_name, normalised
from guidance.models.stable_diffusion import StableDiffusion
from guidance.noise import Level
from guidance.perturbations import PAG, SAG, SEG, Perturbation, SkipLayer
from guidance.protocol import Branch, drive
from tests.guidance.steps import a_step, noise

LEVEL = Level.variance_preserving(400.0, 1.2)
ALL = ("down", "mid", "up")


@pytest.fixture(scope="module")
def net(folder: Path) -> StableDiffusion:
    return StableDiffusion.load(folder, "tiny", torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def rows(net: StableDiffusion) -> list[Branch]:
    """Five rows of one batch, of different noise and prompts."""
    shape, prompts = net.shape(net.info.width, net.info.height), ("a red star", "a ring", "", "a star", "a red ring")
    return [
        Branch("cond", noise(seed, shape, torch.float32), LEVEL, net.encode(text or None))
        for seed, text in enumerate(prompts)
    ]


def nag(net: StableDiffusion, **changes: float) -> NegativeAttention:
    settings = {"scale": 5.0, "cap": 2.5, "blend": 0.25} | changes
    return NegativeAttention(ALL, net.encode("a ring").embeddings["text"], **settings)


def edits(net: StableDiffusion) -> list[Edit]:
    return [
        IdentityAttention(("mid",)),
        BlurredQueries(("mid", "up"), 1.5),
        BlurredQueries(("mid",), math.inf),
        SkippedBlock(("down.0", "mid")),
        nag(net),
        Capture(ALL),
    ]


@pytest.mark.parametrize("kind", range(6))
def test_a_row_that_asks_changes_no_other_and_does_not_depend_on_them(
    net: StableDiffusion, rows: list[Branch], kind: int
) -> None:
    edit = edits(net)[kind]
    plain, asked = net.evaluate(rows), rows[2].edited(edit)
    mixed = net.evaluate([*rows[:2], asked, *rows[3:]])
    assert [torch.equal(a, b) for a, b in zip(plain, mixed, strict=True)] == [
        True,
        True,
        isinstance(edit, Capture),
        True,
        True,
    ]
    assert torch.equal(net.evaluate([asked])[0], mixed[2])


def test_different_rows_ask_for_different_things(net: StableDiffusion, rows: list[Branch]) -> None:
    asked = [row.edited(edit) for row, edit in zip(rows, edits(net), strict=False)]
    together = net.evaluate(asked)
    for branch, value in zip(asked, together, strict=True):
        assert torch.equal(net.evaluate([branch, rows[0]])[0], value)


def test_a_layer_that_is_not_there_is_an_error_and_not_a_plain_result(net: StableDiffusion, rows: list[Branch]) -> None:
    with pytest.raises(ValueError, match=r"layers = up\.9"):
        net.evaluate([rows[0].edited(IdentityAttention(("up.9",))), rows[1]])


def test_layers_are_named_by_their_place(net: StableDiffusion) -> None:
    assert set(net.info.layers) == set(net.layers) and "mid.0" in net.layers
    assert layer_name("down_blocks.1.attentions.0.transformer_blocks.0") == "down.1.0"
    assert layer_name("mid_block.attentions.0.transformer_blocks.1") == "mid.0.1"
    assert unknown(["mid", "mid.0", "mi", "up.7"], net.layers) == ["mi", "up.7"]


# Ahn et al. 2024, arXiv:2403.17377


def test_identity_attention_is_a_softmax_that_is_the_identity(net: StableDiffusion, rows: list[Branch]) -> None:
    """Queries and keys that make every token see itself alone give the values, which is what the edit returns."""
    block = net.unet.mid_block.attentions[0].transformer_blocks[0]
    x = noise(5, (2, 16, block.attn1.to_q.in_features), torch.float32)
    processor = block.attn1.processor
    asked = Rows([(IdentityAttention(("mid",)),), ()], (8, 8), 2)
    with torch.inference_mode():
        out = processor(block.attn1, x, rows=asked)
        values = block.attn1.to_out[0](block.attn1.to_v(x))
    torch.testing.assert_close(out[0], values[0], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(out[1], values[1])


def test_the_attention_of_a_single_token_is_the_identity(net: StableDiffusion) -> None:
    """A softmax over one key is 1: the weakened branch is the conditional one."""
    block = net.unet.mid_block.attentions[0].transformer_blocks[0]
    x = noise(5, (2, 1, block.attn1.to_q.in_features), torch.float32)
    with torch.inference_mode():
        plain = block.attn1.processor(block.attn1, x)
        out = block.attn1.processor(block.attn1, x, rows=Rows([(IdentityAttention(("mid",)),), ()], (1, 1), 1))
    torch.testing.assert_close(out, plain, rtol=1e-6, atol=1e-6)


# Hong 2024, arXiv:2408.00760


def test_a_blur_of_no_width_changes_nothing(net: StableDiffusion, rows: list[Branch]) -> None:
    sharp = rows[0].edited(BlurredQueries(ALL, 1e-3))
    torch.testing.assert_close(net.evaluate([sharp])[0], net.evaluate([rows[0]])[0], rtol=1e-4, atol=1e-5)


def test_a_blur_without_end_gives_every_token_the_mean_query() -> None:
    query = noise(1, (2, 12, 4))
    assert torch.equal(blurred(query, (3, 4), math.inf), query.mean(1, keepdim=True).expand(2, 12, 4))


def test_rows_of_attention_are_identical_where_the_blur_has_no_end(net: StableDiffusion) -> None:
    """Equal queries look alike: every token is given the same mean of values."""
    block = net.unet.mid_block.attentions[0].transformer_blocks[0]
    x = noise(5, (2, 16, block.attn1.to_q.in_features), torch.float32)
    rows = Rows([(BlurredQueries(("mid",), math.inf),), ()], (8, 8), 2)
    with torch.inference_mode():
        blurry, sharp = block.attn1.processor(block.attn1, x, rows=rows)
    torch.testing.assert_close(blurry, blurry[:1].expand_as(blurry), rtol=1e-5, atol=1e-6)
    assert float(sharp.std(0).max()) > 1e-3


def test_a_blur_keeps_a_constant_and_is_a_separable_gaussian() -> None:
    torch.testing.assert_close(blurred(torch.full((1, 64, 2), 3.0), (8, 8), 1.0), torch.full((1, 64, 2), 3.0))
    spike = torch.zeros(1, 15 * 15, 1, dtype=torch.float64)
    spike[0, 7 * 15 + 7] = 1
    taps = torch.exp(-0.5 * torch.arange(-3, 4, dtype=torch.float32) ** 2)
    taps = (taps / taps.sum()).double()
    expected = torch.zeros(15, 15, dtype=torch.float64)
    expected[4:11, 4:11] = taps[:, None] * taps
    torch.testing.assert_close(blurred(spike, (15, 15), 1.0).view(15, 15), expected)


# Hyung et al. 2024, arXiv:2411.18664


def test_skipping_every_block_is_a_network_without_them(net: StableDiffusion, rows: list[Branch]) -> None:
    """Each transformer is then its normalisation and two projections: prompts no longer matter."""
    skipped = [replace(rows[0], cond=row.cond).edited(SkippedBlock(ALL)) for row in rows[:2]]
    first, second = net.evaluate(skipped)
    assert torch.equal(first, second)


def test_skipping_a_block_that_adds_nothing_changes_nothing(net: StableDiffusion, rows: list[Branch]) -> None:
    """A skipped block is its residual connection: where its parts are silenced, skipping it is not seen."""
    silent = copy.deepcopy(net)
    block = silent.unet.mid_block.attentions[0].transformer_blocks[0]
    for part in (block.attn1.to_out[0], block.attn2.to_out[0], block.ff.net[2]):
        torch.nn.init.zeros_(part.weight)
        torch.nn.init.zeros_(part.bias)
    skipped = rows[0].edited(SkippedBlock(("mid",)))
    torch.testing.assert_close(silent.evaluate([skipped])[0], silent.evaluate([rows[0]])[0], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(net.evaluate([skipped])[0], net.evaluate([rows[0]])[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", [PAG, SAG, SEG, SkipLayer], ids=lambda method: method.type_name())
def test_no_layers_at_all_are_refused(method: type[Perturbation]) -> None:
    """They would weaken nothing: an evaluation for the prediction that is there already."""
    with pytest.raises(ValidationError, match="layers"):
        method.model_validate({"layers": []})


# Hong et al. 2022, arXiv:2210.00939


def test_sag_without_salient_tokens_pushes_by_nothing(net: StableDiffusion, rows: list[Branch]) -> None:
    """What is asked the second time is what was asked the first."""
    step = a_step(x=rows[0].x, level=LEVEL)
    step = replace(step, cond=rows[0], uncond=replace(rows[0], name="uncond"))
    for threshold, pushes in ((1000.0, False), (0.0, True)):
        sag = SAG(threshold=threshold)
        push = drive(sag.push(sag.prepare(step)), net.evaluate)
        assert (float(push.abs().max()) > 1e-4) == pushes


# Chen et al. 2025, arXiv:2505.21179


@pytest.mark.parametrize("changes", [{"scale": 1.0}, {"blend": 0.0}])
def test_nag_at_its_neutral_settings_changes_nothing(
    net: StableDiffusion, rows: list[Branch], changes: dict[str, float]
) -> None:
    guided = net.evaluate([rows[0].edited(nag(net, **changes))])[0]
    torch.testing.assert_close(guided, net.evaluate([rows[0]])[0], rtol=1e-4, atol=1e-5)


def test_nag_of_equal_prompts_changes_nothing(net: StableDiffusion, rows: list[Branch]) -> None:
    same = NegativeAttention(ALL, rows[0].cond.embeddings["text"], 5.0, 2.5, 0.5)
    guided = net.evaluate([rows[0].edited(same)])[0]
    torch.testing.assert_close(guided, net.evaluate([rows[0]])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cap", [0.5, 1.0, 2.5])
def test_nag_is_never_longer_than_its_cap(cap: float) -> None:
    positive, negative = noise(1, (1, 6, 5)), noise(2, (1, 6, 5))
    edit = NegativeAttention(ALL, positive, 5.0, cap, 1.0)

    def length(x: Tensor) -> Tensor:
        return x.abs().sum(-1)

    assert bool((length(normalised(positive, negative, edit)) <= cap * length(positive) * (1 + 1e-12)).all())


def test_nag_acts_on_the_conditional_branch_alone() -> None:
    step = a_step()
    after = NAG(scale=3).apply(step)
    assert after.uncond is step.uncond and isinstance(after.cond.attention[-1], NegativeAttention)


# Capturing


def test_captured_maps_are_probabilities_of_the_asked_ratio(net: StableDiffusion, rows: list[Branch]) -> None:
    fine, coarse = Capture(ALL, ratio=1), Capture(ALL, ratio=8)
    net.evaluate([rows[0].edited(fine), rows[1].edited(coarse)])
    assert sorted(kept.layer for kept in fine.maps) == sorted(net.layers)
    tokens = {len(kept.self_map) for kept in coarse.maps}
    assert tokens == {min(len(kept.self_map) for kept in fine.maps)}  # none is 8 times coarser: the coarsest there are
    for kept in [*fine.maps, *coarse.maps]:
        for probabilities in (kept.self_map, kept.cross_map):
            torch.testing.assert_close(probabilities.sum(-1), torch.ones(len(kept.self_map)), rtol=0, atol=1e-5)
