"""What every perturbation must do, whatever it weakens."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance.perturbations import Perturbation
from guidance.perturbations.layered import Layered
from guidance.pictures import PICTURES
from guidance.registry import members
from tests.guidance.steps import a_step, answered, noise
from tests.guidance.strategies import LAW, drawn

ALL: list[type[Perturbation]] = [m for m in members("perturbation") if issubclass(m, Perturbation)]
LAYERED = [method for method in ALL if issubclass(method, Layered)]
every_layered = pytest.mark.parametrize("method", LAYERED, ids=lambda method: method.type_name())
every_perturbation = pytest.mark.parametrize("method", ALL, ids=lambda method: method.type_name())
indices = st.integers(0, 9)


@every_perturbation
@LAW
@given(data=st.data(), index=indices)
def test_neutral_setting_is_never_active(method: type[Perturbation], data: st.DataObject, index: int) -> None:
    assert not data.draw(drawn(method, scale=0)).active(index, 10)


@every_perturbation
@LAW
@given(data=st.data())
def test_no_signal_no_push(method: type[Perturbation], data: st.DataObject) -> None:
    perturbation, same = data.draw(drawn(method)), noise(1)
    push, _ = answered(perturbation.push(perturbation.prepare(a_step())), dict.fromkeys(perturbation.branches, same))
    assert torch.equal(push, torch.zeros_like(same))


@every_perturbation
@LAW
@given(data=st.data())
def test_asks_for_the_branches_it_declares(method: type[Perturbation], data: st.DataObject) -> None:
    perturbation = data.draw(drawn(method))
    answers = {name: noise(seed) for seed, name in enumerate(sorted(perturbation.branches))}
    _, asked = answered(perturbation.push(perturbation.prepare(a_step())), answers)
    assert sorted(asked) == sorted(perturbation.branches)


@every_perturbation
@LAW
@given(data=st.data())
def test_pictures_have_a_meaning_and_cover_the_latents_cells(method: type[Perturbation], data: st.DataObject) -> None:
    perturbation, step = data.draw(drawn(method)), a_step()
    answers = {name: noise(seed) for seed, name in enumerate(sorted(perturbation.branches))}
    answered(perturbation.push(perturbation.prepare(step)), answers)
    assert step.pictures.keys() <= PICTURES.keys()
    assert all(picture.cells.shape == step.cond.x.shape[2:] for picture in step.pictures.values())


@every_layered
@LAW
@given(data=st.data())
def test_weakens_the_conditional_branch_and_nothing_else(method: type[Layered], data: st.DataObject) -> None:
    perturbation, step = data.draw(drawn(method)), a_step()
    weak = perturbation.weakened(step)
    assert (weak.x is step.cond.x, weak.level is step.level, weak.cond is step.cond.cond) == (True, True, True)
    assert weak.name == method.type_name() and len(weak.attention) == len(step.cond.attention) + 1


@every_layered
@LAW
@given(data=st.data(), scale=st.floats(-100, 100))
def test_the_push_is_the_scaled_difference(method: type[Layered], data: st.DataObject, scale: float) -> None:
    perturbation = data.draw(drawn(method, scale=scale))
    push, _ = answered(
        perturbation.push(perturbation.prepare(a_step())), {"cond": noise(1), method.type_name(): noise(2)}
    )
    torch.testing.assert_close(push, scale * (noise(1) - noise(2)))


@every_perturbation
def test_the_window_is_half_open_in_shares_of_the_steps(method: type[Perturbation]) -> None:
    perturbation = method(start=0.2, stop=0.5)
    assert [index for index in range(10) if perturbation.active(index, 10)] == [2, 3, 4]
