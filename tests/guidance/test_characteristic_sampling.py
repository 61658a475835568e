"""Characteristic Guidance along whole trajectories: where it leads, and how its evaluations are counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from guidance.plan import plan
from guidance.protocol import Branch, drive
from guidance.samplers import DDIM, AnySampler, Heun
from guidance.spec import GuidanceSpec
from tests.oracles import TABLE, Pair

WIDE_NULL = Pair(cond_std=0.5, uncond_std=1, pixels=2)
STEPS = DDIM(steps=10, spacing="trailing")


def spec(weight: float = 3.0, correction: Sequence[dict[str, Any]] = (), **combiner: Any) -> GuidanceSpec:
    schedule = {"type": "constant", "weight": weight}
    fields = {"combiner": {"type": "characteristic"} | combiner, "schedule": schedule}
    return GuidanceSpec.model_validate(fields | {"correction": list(correction)})


def counted(guidance: GuidanceSpec, sampler: AnySampler = STEPS) -> tuple[list[float | None], list[int], list[str]]:
    """Evaluations of each call: counted, planned; and the names of all."""
    trajectory, asked = WIDE_NULL.trajectory(guidance, sampler), list[Branch]()

    def evaluate(branches: Sequence[Branch]) -> list[Tensor]:
        asked.extend(branches)
        return trajectory.model.evaluate(branches)

    drive(trajectory.run(), evaluate)
    columns = trajectory.diagnostics.columns()
    assert sum(n or 0 for n in columns["nfe"]) == len(asked) == trajectory.nfe_done == trajectory.nfe_total
    return columns["nfe"], [call.nfe for call in trajectory.plan.calls], [branch.name for branch in asked]


def test_the_ode_leads_to_the_product_of_gaussians() -> None:
    """Second order, to p_cond^w p_uncond^(1 - w), which CFG misses."""
    sampler, w = Heun(steps=80, spacing="karras"), 3.0
    levels = sampler.levels(TABLE)
    high, low = levels[0].ratio, levels[-1].ratio
    precision = w / WIDE_NULL.cond_std**2 + (1 - w) / WIDE_NULL.uncond_std**2
    mean = (w * WIDE_NULL.cond_mean / 0.25 + (1 - w) * WIDE_NULL.uncond_mean) / precision
    exact = mean + (WIDE_NULL.start(sampler) - mean) * ((1 / precision + low**2) / (1 / precision + high**2)) ** 0.5
    exact = mean + (exact - mean) / (1 + low**2 * precision)  # the last step is the denoised estimate
    sampled = WIDE_NULL.sample(spec(w, basis=None, tolerance=1e-9), sampler)
    assert float((sampled - exact).abs().max()) < 2e-3
    plain = WIDE_NULL.sample(GuidanceSpec.model_validate({"schedule": {"type": "constant", "weight": w}}), sampler)
    assert float((plain - exact).abs().max()) > 0.05


@pytest.mark.parametrize("sampler", [STEPS, Heun(steps=5)], ids=lambda sampler: sampler.type)
@pytest.mark.parametrize("fields", [{}, {"basis": None}, {"reuse": 0}, {"max_iterations": 2}], ids=str)
def test_what_is_counted_never_exceeds_what_is_planned(sampler: AnySampler, fields: dict[str, Any]) -> None:
    found, planned, _ = counted(spec(**fields), sampler)
    assert all(n is not None and 2 <= n <= most for n, most in zip(found, planned, strict=True))
    assert max(planned) == 2 * (fields.get("max_iterations", 50) + (fields.get("reuse", 1) > 0))


def test_the_bound_is_reached_where_nothing_converges() -> None:
    found, planned, _ = counted(spec(max_iterations=2, tolerance=1e-12))
    assert found[1:] == planned[1:] == [6] * 9 and found[0] == 4


def test_repeated_branches_have_names_of_their_own() -> None:
    found, _, names = counted(spec())
    first = names[: int(found[0] or 0)]
    assert len(set(first)) == len(first) > 4 and first[:4] == ["cond", "uncond", "cond@2", "uncond@2"]


@pytest.mark.parametrize(("start", "end", "iterated"), [(0, 1, range(10)), (0, 0.4, range(4)), (0.2, 0.5, range(2, 5))])
def test_it_is_cfg_outside_its_window(start: float, end: float, iterated: range) -> None:
    """The share of the steps, rounded; the plan knows."""
    found, planned, _ = counted(spec(start=start, stop=end))
    assert [k for k, most in enumerate(planned) if most > 2] == list(iterated)
    assert all(n == 2 for k, n in enumerate(found) if k not in iterated)
    assert all(n is not None and n > 2 for k, n in enumerate(found) if k in iterated)


def test_without_steps_in_its_window_it_is_cfg() -> None:
    plain = GuidanceSpec.model_validate({"schedule": {"type": "constant", "weight": 3.0}})
    sample = WIDE_NULL.sample(spec(start=0.98, stop=0.99), STEPS)
    torch.testing.assert_close(sample, WIDE_NULL.sample(plain, STEPS), rtol=0, atol=1e-12)


def test_corrections_read_the_unshifted_predictions() -> None:
    """Rescale at 1 has the deviation of the conditional prediction at the step's own input."""
    trajectory = WIDE_NULL.trajectory(spec(correction=[{"type": "rescale", "phi": 1}]), STEPS)
    run = trajectory.run()
    branches = next(run)
    [cond, _] = outputs = trajectory.model.evaluate(branches)
    while trajectory.calls_done == 0:
        branches = run.send(outputs)
        outputs = trajectory.model.evaluate(branches)
    assert trajectory.guided is not None
    torch.testing.assert_close(trajectory.guided.eps.std(), cond.std())


def test_the_plan_says_that_it_is_a_bound() -> None:
    info = WIDE_NULL.model().info
    [warning] = plan(spec(max_iterations=7), STEPS, info).warnings
    assert warning == "characteristic iterates until it converges: counted are the 16 evaluations a call may take"
    assert plan(spec(weight=1), STEPS, info).warnings == ()


@pytest.mark.parametrize("name", ["characteristic", "characteristic_sdxl", "characteristic_fast"])
def test_presets_sample(name: str) -> None:
    sample = WIDE_NULL.sample(GuidanceSpec(preset=name), DDIM(steps=5))
    assert sample.isfinite().all()
