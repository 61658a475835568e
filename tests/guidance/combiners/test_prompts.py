"""Combiners of several prompts against their formulas: composable diffusion, Perp-Neg, SEGA, ICG."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance.combiners import CFG, ICG, SEGA, Composable, PerpNeg
from guidance.combiners.composable import Term
from guidance.combiners.perp_neg import Negative, perpendicular
from guidance.combiners.sega import Concept
from tests.guidance.steps import a_step, answered, guided, noise
from tests.guidance.strategies import LAW, weights

COND, UNCOND = noise(1), noise(2)
BOTH = {"cond": COND, "uncond": UNCOND}


# Liu et al. 2022, arXiv:2206.01714


@LAW
@given(weight=weights())
def test_composable_of_one_prompt_is_cfg(weight: float) -> None:
    value = guided(Composable(), a_step(weight), COND, UNCOND)
    torch.testing.assert_close(value, UNCOND + weight * (COND - UNCOND), rtol=1e-12, atol=1e-12)


@LAW
@given(weight=st.floats(-20, 20), share=st.floats(-3, 3))
def test_composable_of_equal_prompts_whose_shares_add_up_to_1_is_cfg(weight: float, share: float) -> None:
    combiner = Composable(share=1 - share, terms=(Term(prompt="a star", share=share),))
    value, _ = answered(combiner.guide(a_step(weight)), BOTH | {"term_0": COND})
    torch.testing.assert_close(value, UNCOND + weight * (COND - UNCOND), rtol=1e-10, atol=1e-10)


def test_composable_does_not_depend_on_the_order_of_prompts() -> None:
    terms = (Term(prompt="a star", share=0.5), Term(prompt="a ring", share=-2))
    values = [
        answered(Composable(terms=terms[::turn]).guide(a_step(3)), BOTH | dict(zip(names, predictions, strict=True)))[0]
        for turn in (1, -1)
        for names, predictions in [(("term_0", "term_1"), (noise(3), noise(4))[::turn])]
    ]
    torch.testing.assert_close(*values, rtol=1e-12, atol=1e-12)


def test_composable_asks_for_its_prompts() -> None:
    step = a_step(3)
    asked = next(Composable(terms=(Term(prompt="a star"), Term(label=4))).guide(step))
    assert [branch.name for branch in asked] == ["cond", "uncond", "term_0", "term_1"]
    assert Composable(terms=(Term(prompt=""), Term(label=4))).wanted() == {"/terms/0": None, "/terms/1": 4}


# Armandpour et al. 2023, arXiv:2304.04968


def perp_neg(weight: float, negative: torch.Tensor, *more: torch.Tensor, share: float = 1.0) -> torch.Tensor:
    named = {f"negative_{place}": prediction for place, prediction in enumerate(more)}
    combiner = PerpNeg(share=share, negatives=tuple(Negative(prompt="blurry") for _ in more))
    return answered(combiner.guide(a_step(weight)), {"cond": COND, "uncond": negative, "null": UNCOND} | named)[0]


@LAW
@given(weight=st.floats(-20, 20), k=st.floats(-5, 5))
def test_perp_neg_of_a_parallel_negative_has_no_effect(weight: float, k: float) -> None:
    value = perp_neg(weight, UNCOND + k * (COND - UNCOND))
    torch.testing.assert_close(value, UNCOND + weight * (COND - UNCOND), rtol=1e-10, atol=1e-10)


@LAW
@given(weight=st.floats(-20, 20), share=st.floats(0, 5))
def test_perp_neg_of_a_perpendicular_negative_is_a_plain_one(weight: float, share: float) -> None:
    away = perpendicular(noise(3), COND - UNCOND)
    value = perp_neg(weight, UNCOND + away, share=share)
    torch.testing.assert_close(value, UNCOND + weight * (COND - UNCOND - share * away), rtol=1e-10, atol=1e-10)


def test_perp_neg_of_no_share_is_cfg() -> None:
    value = perp_neg(3.0, noise(3), share=0.0)
    torch.testing.assert_close(value, guided(CFG(), a_step(3.0), COND, UNCOND))


def test_perp_neg_pushes_from_the_null_condition_and_not_from_the_negative_prompt() -> None:
    step = a_step(3.0)
    asked = {branch.name: branch for branch in next(PerpNeg().guide(step))}
    assert asked["null"].cond.embeddings["text"].equal(step.others[None].embeddings["text"])
    assert None in PerpNeg().wanted().values()


# Brack et al. 2023, arXiv:2301.12247


def sega(combiner: SEGA, *predictions: torch.Tensor, **changes: Any) -> torch.Tensor:
    named = {f"concept_{place}": prediction for place, prediction in enumerate(predictions)}
    return answered(combiner.guide(a_step(3.0, **changes)), BOTH | named)[0]


PLAIN = UNCOND + 3.0 * (COND - UNCOND)


def test_sega_of_no_concept_is_cfg() -> None:
    torch.testing.assert_close(sega(SEGA()), PLAIN)


def test_sega_without_mask_and_momentum_is_composable() -> None:
    concepts = [Concept(prompt="a", quantile=0, warmup=0, scale=s, away=s < 3) for s in (2.0, 4.0)]
    value = sega(SEGA(concepts=tuple(concepts), momentum_scale=0), noise(3), noise(4))
    torch.testing.assert_close(value, PLAIN - 2 * (noise(3) - UNCOND) + 4 * (noise(4) - UNCOND))


def test_sega_keeps_one_minus_the_quantile_of_each_channel() -> None:
    edit = Concept(prompt="a", quantile=0.75).push(noise(3, (1, 3, 8, 8)), noise(4, (1, 3, 8, 8)))
    assert [int((channel != 0).sum()) for channel in edit[0]] == [16, 16, 16]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sega_s_quantile_of_half_precision_is_taken_in_single(dtype: torch.dtype) -> None:
    """torch has none below float32. Entries of equal magnitude at the bound are all kept."""
    prediction, uncond = noise(3, (1, 3, 8, 8)).to(dtype), noise(4, (1, 3, 8, 8)).to(dtype)
    edit = Concept(prompt="a", quantile=0.75).push(prediction, uncond)
    whole = 5 * (prediction - uncond)
    bound = whole.float().abs().flatten(2).quantile(0.75, dim=2)[:, :, None, None]
    assert edit.dtype == dtype and torch.equal(edit, whole.where(whole.float().abs() >= bound, 0.0))


def test_sega_waits_for_its_warm_up_while_momentum_builds() -> None:
    concept = Concept(prompt="a", quantile=0, warmup=0.2)
    combiner, memory = SEGA(concepts=(concept,)), dict[str, Any]()
    early = sega(combiner, noise(3), index=0, memory=memory)
    torch.testing.assert_close(early, PLAIN)
    edit = 5 * (noise(3) - UNCOND)
    torch.testing.assert_close(memory["sega"], 0.6 * edit)
    late = sega(combiner, noise(3), index=2, memory=memory)
    torch.testing.assert_close(late, PLAIN + edit + 0.1 * 0.6 * edit)
    torch.testing.assert_close(memory["sega"], 0.4 * 0.6 * edit + 0.6 * (edit + 0.1 * 0.6 * edit))


def test_sega_concepts_that_are_warm_first_share_a_total_of_1_without_momentum() -> None:
    early, late = (Concept(prompt="a", quantile=0, warmup=w, share=3) for w in (0.0, 0.9))
    value = sega(SEGA(concepts=(early, late)), noise(3), noise(4), index=1, memory={"sega": noise(9)})
    torch.testing.assert_close(value, PLAIN + 5 * (noise(3) - UNCOND))


def test_sega_is_finite_when_the_only_warm_concepts_have_cooled_down() -> None:
    cooled, cold = Concept(prompt="a", warmup=0, cooldown=0.1), Concept(prompt="b", warmup=0.9)
    torch.testing.assert_close(sega(SEGA(concepts=(cooled, cold)), noise(3), noise(4), index=3), PLAIN)


# Sadat et al. 2024, arXiv:2407.02687


def test_icg_draws_a_condition_with_the_embeddings_mean_and_deviation() -> None:
    step = a_step(3.0)
    [_, random] = next(ICG().guide(step))
    drawn, given_ = random.cond.embeddings["text"], step.cond.cond.embeddings["text"]
    assert drawn.shape == given_.shape and not torch.equal(drawn, given_)
    torch.testing.assert_close((drawn - given_.mean()) / given_.std(), _same_draw(drawn), rtol=1e-6, atol=1e-6)


def _same_draw(like: torch.Tensor) -> torch.Tensor:
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(3)).to(like)


def test_icg_draws_once_a_step_and_anew_at_the_next() -> None:
    memory, generator = dict[str, Any](), torch.Generator().manual_seed(3)
    conditions = [
        next(ICG().guide(a_step(3.0, index=index, call=call, memory=memory, generator=generator)))[1].cond
        for index, call in ((0, 0), (0, 1), (1, 0))
    ]
    assert conditions[0] is conditions[1] and conditions[1] is not conditions[2]


@LAW
@given(weight=weights())
def test_icg_of_the_condition_itself_is_the_condition(weight: float) -> None:
    value, _ = answered(ICG().guide(a_step(weight)), {"cond": COND, "random": COND, "uncond": UNCOND})
    assert torch.equal(value, COND)
