"""The numbers of a trajectory, held against what they are defined to be."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from guidance.diagnostics import UNITS, Cost, Diagnostics, summary
from guidance.noise import CLEAN, Level, NoiseTable
from guidance.plan import Call
from guidance.prediction import Prediction
from guidance.protocol import Conditions, drive
from guidance.samplers import DDIM, AnySampler, Heun
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.guidance.steps import LEVEL, a_step, noise
from tests.oracles import Pair

Columns = dict[str, list[float | None]]
X, COND, UNCOND = noise(0), noise(1), noise(2)
GUIDED = UNCOND + 3 * (COND - UNCOND)
ALWAYS = {"step", "call", "t", "weight", "nfe", "guided_norm", "denoised_min", "denoised_max", "denoised_std"}


def said(eps: Tensor, level: Level = LEVEL) -> Prediction:
    return Prediction(X, level, eps, "eps")


def recorded(seen: dict[str, Prediction], guided: Prediction, cost: Cost | None = None, bound: float = 1.0) -> Columns:
    """The columns of a single evaluation."""
    diagnostics = Diagnostics("full", bound)
    call = Call(2, 1, 2, 0, False, guided.level, guided.level, CLEAN, 3.0, len(seen))
    diagnostics.record(call, seen, guided, {}, cost or Cost(evaluations=len(seen)))
    return diagnostics.columns()


def columns(sampler: AnySampler, table: NoiseTable | None = None, **guidance: Any) -> Columns:
    """The columns of a whole trajectory over a pair of Gaussians."""
    model = Pair().model(table) if table else Pair().model()
    spec, conditions = GuidanceSpec.model_validate(guidance), Conditions(model.label(0), model.label(1))
    trajectory = Trajectory(model, spec, sampler, conditions, model.shape(0, 0), 0)
    drive(trajectory.run(), model.evaluate)
    return trajectory.diagnostics.columns()


def test_norms_and_cosine_are_those_of_the_noise_predictions() -> None:
    [row] = _rows(recorded({"cond": said(COND), "uncond": said(UNCOND)}, said(GUIDED)))
    assert row["cond_norm"] == pytest.approx(float(COND.norm()))
    assert row["uncond_norm"] == pytest.approx(float(UNCOND.norm()))
    assert row["difference_norm"] == pytest.approx(float((COND - UNCOND).norm()))
    assert row["guided_to_cond"] == pytest.approx(float(GUIDED.norm() / COND.norm()))
    assert row["cosine"] == pytest.approx(float((COND * UNCOND).sum() / COND.norm() / UNCOND.norm()))


def test_the_range_is_that_of_the_denoised_estimate() -> None:
    guided, bound = said(GUIDED), 2.0
    [row] = _rows(recorded({"cond": said(COND)}, guided, bound=bound))
    assert (row["denoised_min"], row["denoised_max"]) == (float(guided.denoised.min()), float(guided.denoised.max()))
    assert row["denoised_std"] == pytest.approx(float(guided.denoised.std()))
    assert row["clipped_fraction"] == float((guided.denoised.abs() > bound).double().mean())


def test_the_level_and_the_place_are_those_of_the_call() -> None:
    [row] = _rows(recorded({"cond": said(COND)}, said(COND), Cost(evaluations=1, seconds=0.25, rows=12, batches=3)))
    assert (row["step"], row["call"], row["t"], row["weight"], row["nfe"]) == (2, 1, LEVEL.t, 3.0, 1)
    assert (row["sigma"], row["log_snr"]) == (LEVEL.ratio, LEVEL.log_snr)
    assert (row["milliseconds"], row["batch_rows"]) == (250, 4)


def test_what_was_not_evaluated_is_null() -> None:
    [row] = _rows(recorded({"uncond": said(UNCOND)}, said(UNCOND)))
    empty = ("cond_norm", "difference_norm", "cosine", "guided_to_cond", "batch_rows")
    assert [row[name] for name in empty] == [None] * 5
    assert row["uncond_norm"] is not None


def test_what_json_cannot_hold_is_null() -> None:
    """At zero signal sigma is infinite and the log-SNR minus that."""
    start = Level.variance_preserving(999, math.inf)
    guided = Prediction(X, start, COND, "v")
    [row] = _rows(recorded({"cond": guided}, guided))
    assert row["sigma"] is None and row["log_snr"] is None and row["denoised_std"] is not None
    json.dumps(row, allow_nan=False)


def test_a_zero_prediction_has_no_cosine() -> None:
    zero = said(torch.zeros_like(X))
    [row] = _rows(recorded({"cond": zero, "uncond": zero}, zero))
    assert (row["cosine"], row["guided_to_cond"], row["cond_norm"]) == (None, None, 0)


@pytest.mark.parametrize("sampler", [DDIM(steps=5), Heun(steps=5)], ids=lambda sampler: sampler.type)
def test_there_is_a_row_a_call_and_every_column_has_a_meaning(sampler: AnySampler) -> None:
    guidance: dict[str, Any] = {"combiner": {"type": "characteristic", "max_iterations": 3}}
    guidance |= {"correction": [{"type": "static_threshold"}], "condition": [{"type": "cads"}]}
    found = columns(sampler, **guidance)
    assert {"threshold", "cads_gamma", "characteristic_residual"} < found.keys() <= UNITS.keys()
    assert {len(column) for column in found.values()} == {len(sampler.levels(Pair().model().info.noise))}
    assert all(value is not None and math.isfinite(value) for name in ALWAYS for value in found[name])


def test_columns_of_stages_that_are_not_there_are_left_out() -> None:
    own = {"threshold", "cads_gamma", "characteristic_iterations", "pag_norm", "effective_weight"}
    assert own < UNITS.keys() - columns(DDIM(steps=3)).keys()


def test_outside_an_interval_only_the_conditional_branch_is_there() -> None:
    found = columns(DDIM(steps=8), schedule={"type": "interval", "weight": 3, "sigma_low": 0.3, "sigma_high": 3})
    for row in _rows(found):
        assert row["sigma"] is not None
        inside = 0.3 < row["sigma"] <= 3
        assert (row["nfe"], row["weight"]) == ((2, 3) if inside else (1, 1))
        assert (row["uncond_norm"] is None) == (not inside) and row["cond_norm"] is not None


def test_values_along_a_trajectory_are_the_closed_form() -> None:
    """Of two Gaussians of one std the difference is the same at every x: alpha sigma (mu_c - mu_u) / V a pixel."""
    pair = Pair()
    for row in _rows(columns(DDIM(steps=6), schedule={"type": "constant", "weight": 3})):
        assert row["sigma"] is not None
        level = Level.variance_preserving(0, row["sigma"])
        variance = level.alpha**2 * pair.cond_std**2 + level.sigma**2
        each = level.alpha * level.sigma * (pair.cond_mean - pair.uncond_mean) / variance
        assert row["difference_norm"] == pytest.approx(each * pair.pixels, rel=1e-6)


@pytest.mark.parametrize(("detail", "rows"), [("off", 0), ("summary", 1), ("full", 1)])
def test_off_gathers_nothing(detail: Literal["off", "summary", "full"], rows: int) -> None:
    diagnostics = Diagnostics(detail, 1.0)
    step = a_step()
    diagnostics.record(
        Call(0, 0, 0, 0, False, LEVEL, LEVEL, CLEAN, 3.0, 1), {"cond": said(COND)}, said(COND), step.notes, Cost()
    )
    found = diagnostics.columns()
    assert (bool(found), len(found.get("step", []))) == (bool(rows), rows)
    assert bool(summary(found)) == bool(rows)


def test_a_summary_adds_up_averages_and_takes_the_last() -> None:
    found = columns(DDIM(steps=8), schedule={"type": "interval", "weight": 3, "sigma_low": 0.3, "sigma_high": 3})
    short = summary(found)
    cosines = [value for value in found["cosine"] if value is not None]
    assert short["nfe"] == sum(value or 0 for value in found["nfe"])
    assert short["cosine_mean"] == pytest.approx(sum(cosines) / len(cosines))
    assert short["denoised_std_last"] == found["denoised_std"][-1]
    assert short["batch_rows_mean"] is None


def test_cost_averages_rows_over_batches() -> None:
    cost = Cost()
    cost.add(0.1, 4)
    cost.add(0.3, 8)
    assert cost.mean_rows == 6
    assert cost.seconds == pytest.approx(0.4)
    assert math.isnan(Cost().mean_rows)


def _rows(found: Columns) -> list[dict[str, float | None]]:
    return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]


def test_every_number_that_a_method_notes_has_a_meaning() -> None:
    """A note without a unit would be left out of the columns."""
    noted = {
        name
        for file in (Path(__file__).parents[2] / "guidance").rglob("*.py")
        for pair in re.findall(r"notes\[\"(\w+)\"\]|notes\.update\((\w+)=", file.read_text())
        for name in pair
        if name
    }
    assert noted and noted <= UNITS.keys()


def test_everything_is_moved_from_the_device_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes too: each would wait for the device on its own."""
    notes = {"threshold": torch.tensor(2.0), "cads_gamma": 0.5, "sag_norm": torch.tensor(3.0)}
    diagnostics, guided = Diagnostics("full", 1.0), said(GUIDED)
    for step in range(2):
        call = Call(step, 0, step, 0, False, guided.level, guided.level, CLEAN, 3.0, 1)
        diagnostics.record(call, {"cond": said(COND)}, guided, notes, Cost(evaluations=1))
    moved: list[int] = []
    cpu = torch.Tensor.cpu

    def counted(tensor: torch.Tensor) -> torch.Tensor:
        moved.append(tensor.numel())
        return cpu(tensor)

    monkeypatch.setattr(torch.Tensor, "cpu", counted)
    for name in ("item", "__float__"):
        monkeypatch.setattr(torch.Tensor, name, lambda tensor: pytest.fail("a number was moved on its own"))
    found = diagnostics.columns()
    assert [found[name] for name in notes] == [[2.0, 2.0], [0.5, 0.5], [3.0, 3.0]]
    assert len(moved) == 1
