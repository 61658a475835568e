"""What every combiner must do, whatever its formula."""

from __future__ import annotations

from itertools import chain, combinations
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance.combiners import Combiner
from guidance.pictures import PICTURES
from guidance.prediction import Kind
from guidance.protocol import Guide
from guidance.registry import members
from tests.guidance.steps import Others, a_step, answer, answered, begun, guided, noise, prediction, through
from tests.guidance.strategies import LAW, drawn, weights

ALL: list[type[Combiner]] = [method for method in members("combiner") if issubclass(method, Combiner)]
every_combiner = pytest.mark.parametrize("method", ALL, ids=lambda method: method.type_name())
NEUTRAL_AT_1 = [method for method in ALL if method.neutral == "weight = 1"]
NEEDS = [frozenset(names) for names in chain.from_iterable(combinations(("cond", "uncond"), n) for n in range(3))]


@pytest.mark.parametrize("method", NEUTRAL_AT_1, ids=lambda method: method.type_name())
@LAW
@given(data=st.data())
def test_neutral_setting_is_the_conditional_prediction_from_one_branch(
    method: type[Combiner], data: st.DataObject
) -> None:
    cond = noise(data.draw(st.integers(0, 99)))
    value, asked = answered(begun(data.draw(drawn(method)), a_step(1.0)), {"cond": cond})
    assert asked == ["cond"]
    assert torch.equal(value, cond)


@every_combiner
@LAW
@given(data=st.data(), weight=weights())
def test_no_signal_no_push(method: type[Combiner], data: st.DataObject, weight: float) -> None:
    """Equal predictions come back bit for bit, at any weight."""
    same = noise(data.draw(st.integers(0, 99)))
    assert torch.equal(guided(data.draw(drawn(method)), a_step(weight), same, same), same)


@every_combiner
@LAW
@given(data=st.data(), weight=weights(), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_shape_and_dtype_are_kept_and_values_finite(
    method: type[Combiner], data: st.DataObject, weight: float, dtype: torch.dtype
) -> None:
    combiner, zero = data.draw(drawn(method)), torch.zeros_like(noise(0, dtype=dtype))
    for cond, uncond in ((zero, zero), (zero, noise(1, dtype=dtype)), (noise(2, dtype=dtype), zero)):
        value = guided(combiner, a_step(weight), cond, uncond)
        assert (value.shape, value.dtype) == (zero.shape, dtype)
        assert value.isfinite().all()


@every_combiner
@pytest.mark.parametrize("weight", [0.0, 0.1, 1.0, 3.0])
@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_half_precision_comes_back_near_what_double_says(
    method: type[Combiner], weight: float, dtype: torch.dtype, rounding: float
) -> None:
    """4096 values, whose squares add up beyond float16's range where that is summed in it."""
    combiner, values = method(), [5 * noise(seed, (1, 4, 32, 32)).to(dtype) for seed in range(3)]

    def told(x: torch.Tensor, cond: torch.Tensor, uncond: torch.Tensor) -> torch.Tensor:
        return guided(combiner, a_step(weight, x=x, others=Others(x.dtype)), cond, uncond)

    half, double = told(*values), told(*(value.double() for value in values))
    assert half.dtype == dtype and half.isfinite().all()
    assert float((half.double() - double).norm() / double.norm()) < rounding


@every_combiner
@LAW
@given(data=st.data(), weight=weights())
def test_is_pure(method: type[Combiner], data: st.DataObject, weight: float) -> None:
    combiner, step = data.draw(drawn(method)), a_step(weight)
    before, cond, uncond = combiner.model_copy(deep=True), noise(1), noise(2)
    guided(combiner, step, cond, uncond)
    assert combiner == before and torch.equal(cond, noise(1)) and torch.equal(uncond, noise(2))
    assert torch.equal(step.cond.x, noise(0)) and step.cond.cond.embeddings.keys() == {"text"}


@every_combiner
@LAW
@given(data=st.data(), weight=weights())
def test_pictures_have_a_meaning_and_cover_the_latents_cells(
    method: type[Combiner], data: st.DataObject, weight: float
) -> None:
    step = a_step(weight)
    guided(data.draw(drawn(method)), step, noise(1), noise(2))
    assert step.pictures.keys() <= PICTURES.keys()
    for picture in step.pictures.values():
        assert picture.cells.shape == step.cond.x.shape[2:] and picture.cells.isfinite().all()
        assert not picture.names or 0 <= picture.cells.min() <= picture.cells.max() < len(picture.names)


@every_combiner
@LAW
@given(data=st.data(), first=weights(), second=weights())
def test_two_trajectories_on_one_object_do_not_meet(
    method: type[Combiner], data: st.DataObject, first: float, second: float
) -> None:
    combiner = data.draw(drawn(method))
    answers = [{"cond": noise(seed), "uncond": noise(seed + 1)} for seed in (10, 20)]
    apart = [answered(begun(combiner, a_step(w)), said)[0] for w, said in zip((first, second), answers, strict=True)]
    together = _in_turns([begun(combiner, a_step(w)) for w in (first, second)], answers)
    assert all(torch.equal(a, b) for a, b in zip(apart, together, strict=True))


@every_combiner
@LAW
@given(data=st.data(), weight=weights(), needs=st.sampled_from(NEEDS))
def test_asks_for_the_branches_it_declares(
    method: type[Combiner], data: st.DataObject, weight: float, needs: frozenset[str]
) -> None:
    combiner = data.draw(drawn(method))
    step, declared = a_step(weight, needs=needs), combiner.branches(weight) | needs
    _, asked = answered(begun(combiner, step), {"cond": noise(1), "uncond": noise(2)})
    most = combiner.evaluations(declared, weight, step.index, step.count)
    assert len(asked) == len(set(asked)) and {name.partition("@")[0] for name in asked} == declared
    assert len(asked) <= most if method.data_dependent else len(asked) == most


@every_combiner
@LAW
@given(data=st.data(), weight=weights(), needs=st.sampled_from(NEEDS))
def test_a_branch_that_others_need_does_not_change_the_value(
    method: type[Combiner], data: st.DataObject, weight: float, needs: frozenset[str]
) -> None:
    combiner, cond, uncond = data.draw(drawn(method)), noise(1), noise(2)
    alone = guided(combiner, a_step(weight), cond, uncond)
    torch.testing.assert_close(guided(combiner, a_step(weight, needs=needs), cond, uncond), alone, rtol=0, atol=1e-12)


@every_combiner
@LAW
@given(data=st.data(), weight=weights())
def test_asks_at_the_input_and_level_of_the_step(method: type[Combiner], data: st.DataObject, weight: float) -> None:
    combiner = data.draw(drawn(method))
    step = combiner.prepare(a_step(weight))
    for branch in next(combiner.guide(step)):
        assert branch.x is step.cond.x and branch.level is step.level
        assert branch is {"cond": step.cond, "uncond": step.uncond}.get(branch.name, branch)


@every_combiner
@LAW
@given(data=st.data(), weight=weights(), kind=st.sampled_from(get_args(Kind)))
def test_the_parameterisation_of_the_network_does_not_matter(
    method: type[Combiner], data: st.DataObject, weight: float, kind: Kind
) -> None:
    combiner, cond, uncond = data.draw(drawn(method)), prediction(noise(1)), prediction(noise(2))
    got, expected = (through(k, combiner, a_step(weight), cond, uncond) for k in (kind, "eps"))
    assert got.kind == kind
    torch.testing.assert_close(got.denoised, expected.denoised, rtol=1e-10, atol=1e-9)


@every_combiner
@LAW
@given(data=st.data(), weight=weights())
def test_a_row_does_not_depend_on_its_neighbours(method: type[Combiner], data: st.DataObject, weight: float) -> None:
    combiner, cond, uncond = data.draw(drawn(method)), noise(1, (3, 2, 3, 4)), noise(2, (3, 2, 3, 4))
    together = guided(combiner, a_step(weight), cond, uncond)
    for row in range(3):
        alone = guided(combiner, a_step(weight), cond[row : row + 1], uncond[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-12, atol=1e-12)


@every_combiner
@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_closing_leaves_nothing_behind(method: type[Combiner], weight: float) -> None:
    step = a_step(weight)
    guide = begun(method(), step)
    next(guide)
    guide.close()
    assert guide.gi_frame is None and step.notes == {}  # type: ignore[attr-defined]
    assert step.memory.keys() <= {method.type_name()}


@every_combiner
@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_what_is_thrown_into_it_comes_out(method: type[Combiner], weight: float) -> None:
    guide = begun(method(), a_step(weight))
    next(guide)
    with pytest.raises(ZeroDivisionError, match="of this request alone"):
        guide.throw(ZeroDivisionError("of this request alone"))


def _in_turns(guides: list[Guide], answers: list[dict[str, torch.Tensor]]) -> list[torch.Tensor]:
    """One answer to each after the other, all waiting before any is answered."""
    waiting = {k: next(guide) for k, guide in enumerate(guides)}
    values: dict[int, torch.Tensor] = {}
    while waiting:
        for k in list(waiting):
            try:
                waiting[k] = guides[k].send([answer(branch, answers[k]) for branch in waiting[k]])
            except StopIteration as done:
                values[k] = done.value
                del waiting[k]
    return [values[k] for k in range(len(guides))]
