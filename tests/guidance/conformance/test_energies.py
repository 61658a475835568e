"""What every energy must do, and what is refused of them before anything is queued."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guidance.energies import Energy
from guidance.info import ModelInfo
from guidance.noise import NoiseTable
from guidance.picture import data_url
from guidance.plan import plan
from guidance.protocol import drive
from guidance.registry import members
from guidance.samplers import DDIM, DDPM, Heun, UniPC
from guidance.spec import GuidanceSpec
from tests.guidance.energies.evaluation import Evaluation, mixture, noise
from tests.guidance.pictures import png
from tests.guidance.strategies import LAW, PICTURE, drawn, plain
from tests.oracles import TABLE, Pair

ALL: list[type[Energy]] = [method for method in members("energy") if issubclass(method, Energy)]
every_energy = pytest.mark.parametrize("method", ALL, ids=lambda method: method.type_name())
INFO = Pair().model().info


def spec(*energies: dict[str, Any], **stages: Any) -> GuidanceSpec:
    return GuidanceSpec.model_validate({"energy": list(energies), **stages})


def named(method: type[Energy], **fields: Any) -> dict[str, Any]:
    return plain(method).model_dump(mode="json") | fields


@every_energy
@LAW
@given(data=st.data())
def test_what_it_adds_is_finite(method: type[Energy], data: st.DataObject) -> None:
    """Whatever its parameters: very large ones push far, and stay numbers."""
    model = mixture()
    energy = data.draw(drawn(method, start=0.0, stop=1.0))
    evaluation = Evaluation(model, noise(2, model))
    guided = evaluation.guided(energy=[energy.model_dump(mode="json")])
    assert guided.prediction.value.isfinite().all()
    assert guided.after is None or guided.after.isfinite().all()


@every_energy
def test_it_acts_in_its_window_alone(method: type[Energy]) -> None:
    """Half-open: from the share `start` of the steps on, to before `stop`."""
    energy = method.model_validate(named(method, start=0.2, stop=0.5))
    assert [index for index in range(10) if energy.active(index, 10)] == [2, 3, 4]
    planned = plan(spec(named(method, start=0.2, stop=0.5)), DDIM(steps=10), INFO)
    nfe = [call.nfe for call in planned.calls]
    assert nfe == [2] * 2 + [4 if energy.through_network else 2] * 3 + [2] * 5


@every_energy
def test_evaluations_are_those_that_were_planned(method: type[Energy]) -> None:
    for combiner, weight in (("cfg", 3.0), ("cfg", 1.0), ("cfg", 0.0), ("apg", 3.0), ("composable", 3.0)):
        stages = {"combiner": {"type": combiner}, "schedule": {"type": "constant", "weight": weight}}
        for energy in (named(method), named(method) | ({"rule": "guidance"} if "rule" in method.model_fields else {})):
            guidance = spec(energy, travel={"type": "time_travel", "repeats": 2}, **stages)
            trajectory = Pair().trajectory(guidance, DDIM(steps=4))
            drive(trajectory.run(), trajectory.model.evaluate)
            assert trajectory.nfe_done == trajectory.plan.nfe, (combiner, weight, energy)


@every_energy
def test_it_does_not_disturb_the_noise_of_the_solver(method: type[Energy]) -> None:
    """An energy that acts at the last step alone leaves the steps before bit by bit as they were."""
    pair = Pair()
    seen: list[list[torch.Tensor]] = [[], []]
    for place, energies in enumerate([[], [named(method, start=0.8)]]):
        trajectory = pair.trajectory(spec(*energies), DDPM(steps=5))

        def evaluate(branches: Any, place: int = place) -> list[torch.Tensor]:
            seen[place] += [branch.x for branch in branches]
            return pair.model().evaluate(branches)

        drive(trajectory.run(), evaluate)
    assert all(torch.equal(a, b) for a, b in zip(seen[0], seen[1], strict=False))


# What is refused


def details(guidance: GuidanceSpec, sampler: Any = None, info: ModelInfo = INFO) -> dict[str, str]:
    found = info.problems(guidance, sampler or DDIM(steps=4))
    return {problem.pointer: problem.detail for problem in found}


DPS = {"type": "dps", "losses": [{"type": "colour"}]}
MPGD = {"type": "mpgd", "losses": [{"type": "colour"}]}
CLASSIFIER = {"type": "classifier", "labels": [0]}


@pytest.mark.parametrize(
    ("stages", "reason"),
    [
        ({"energy": [DPS, MPGD]}, "dps and mpgd both descend losses: give all the losses to one of them"),
        ({"energy": [CLASSIFIER, CLASSIFIER]}, "energy names classifier 2 times"),
        ({"energy": [DPS], "reuse": {"type": "cache"}}, "reuse cache leaves out evaluations that the gradient of dps"),
        ({"energy": [DPS | {"start": 0.5, "stop": 0.5}]}, r"start = 0\.5 must be below stop = 0\.5"),
        ({"energy": [{"type": "dps", "losses": []}]}, "at least 1 item"),
        ({"energy": [{"type": "dps"}]}, "losses"),
    ],
    ids=["two descents", "twice", "reuse", "window", "no loss", "losses left out"],
)
def test_a_spec_that_contradicts_itself_is_refused(stages: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        GuidanceSpec.model_validate(stages)


def test_a_classifier_and_one_descent_go_together() -> None:
    guidance = spec(CLASSIFIER, DPS, reuse=None)
    trajectory = Pair().trajectory(guidance, DDIM(steps=4))
    assert drive(trajectory.run(), trajectory.model.evaluate).isfinite().all()


def test_mpgd_goes_with_reuse() -> None:
    """No gradient of the network: nothing it needs is left out."""
    trajectory = Pair().trajectory(spec(MPGD, reuse={"type": "cache"}), DDIM(steps=6))
    drive(trajectory.run(), trajectory.model.evaluate)
    assert trajectory.nfe_done == trajectory.plan.nfe < 12


@pytest.mark.parametrize("label", [2, "two", 7])
def test_a_class_that_the_model_does_not_know_is_named_with_those_it_knows(label: Any) -> None:
    found = details(spec(CLASSIFIER | {"labels": [1, label]}))
    assert found == {"/guidance/energy/0/labels/1": f"labels = {label}: gaussians tells apart 0, 1 (0 to 1)"}
    inside = details(spec(DPS | {"losses": [{"type": "label", "labels": [label]}]}))
    assert list(inside) == ["/guidance/energy/0/losses/0/labels/0"]


def test_a_model_without_classifier_is_refused() -> None:
    info = INFO.model_copy(update={"capabilities": frozenset({"null_condition"}), "classes": ()})
    lacking = "needs a model with classifier, which gaussians lacks"
    assert details(spec(CLASSIFIER), info=info) == {"/guidance/energy/0/type": f"classifier {lacking}"}
    inside = details(spec(DPS | {"losses": [{"type": "label", "labels": [0]}]}), info=info)
    assert inside == {"/guidance/energy/0/type": f"dps {lacking}"}
    assert details(spec(DPS), info=info) == {}


@pytest.mark.parametrize("sampler", [Heun(steps=4), UniPC(steps=4)])
def test_x_is_moved_only_between_steps_that_begin_where_it_is(sampler: Any) -> None:
    [detail] = details(spec(DPS), sampler).values()
    assert f"not {sampler.type}'s" in detail and "euler_ancestral" in detail
    assert details(spec({"type": "universal", "losses": [{"type": "colour"}]}), sampler) == {}


def test_noise_is_put_back_only_where_the_solver_sees_it() -> None:
    travel = {"type": "time_travel"}
    [detail] = details(spec(travel=travel), UniPC(steps=4)).values()
    assert detail == "time_travel puts noise back between steps, which unipc does not see"
    assert details(spec(travel=travel), Heun(steps=4)) == {}


def test_the_mean_is_that_of_ddpm() -> None:
    guidance = spec(CLASSIFIER | {"form": "mean"})
    assert list(details(guidance, DDIM(steps=4))) == ["/sampler/type"] and details(guidance, DDPM(steps=4)) == {}


def test_there_is_no_denoised_estimate_at_zero_signal() -> None:
    noisy = NoiseTable(**TABLE.model_dump() | {"rescale_betas_zero_snr": True})
    info = INFO.model_copy(update={"prediction_type": "v", "noise": noisy})
    trailing = DDIM(steps=4, spacing="trailing")
    assert "/guidance/energy/0/type" in details(spec(DPS), trailing, info)
    assert details(spec(DPS | {"start": 0.25}), trailing, info) == {}


def test_a_picture_of_another_size_is_refused_with_both() -> None:
    import PIL.Image

    url = data_url(png(PIL.Image.new("RGB", (8, 4))))
    match = {"type": "match", "image": url}
    problems = INFO.picture_problems(spec(DPS | {"losses": [match]}), 8, 8)
    assert [problem.pointer for problem in problems] == ["/guidance/energy/0/losses/0/image"]
    assert problems[0].detail == "the picture is 8 x 4 pixels and must be 8 x 8 pixels, the image's 8 x 8"
    small = match | {"operator": "downscale", "factor": 2}
    assert INFO.picture_problems(spec(DPS | {"losses": [small]}), 16, 8) == []
    masked = match | {"operator": "mask", "mask": PICTURE}
    pointers = [p.pointer for p in INFO.picture_problems(spec(DPS | {"losses": [masked]}), 8, 4)]
    assert pointers == ["/guidance/energy/0/losses/0/mask"]
