"""FBG, feedback guidance. Koulischer et al. 2025, arXiv:2506.06085."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from guidance.combiners import CFG, FBG
from guidance.combiners.fbg import transition
from guidance.noise import Level
from guidance.protocol import Step, drive
from guidance.samplers import DDIM, AnySampler, Euler, EulerAncestral, Heun
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.guidance.steps import a_step, guided, noise
from tests.guidance.strategies import LAW, drawn
from tests.oracles import Pair

COND, UNCOND = noise(1), noise(2)
PAIR = Pair(cond_std=0.4, uncond_std=0.8)
SENSITIVE: dict[str, Any] = {"pi": 0.9, "t0": 0.3, "t1": 0.5}
"""So that 16 pixels say something of the condition, and lambda is not at a bound."""


def ladder(count: int) -> tuple[Level, ...]:
    """Levels of a Karras-like grid."""
    ratios = [(80 ** (1 / 7) + i / (count - 1) * (0.02 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(count)]
    return tuple(Level.variance_preserving(0.0, ratio) for ratio in ratios)


def at(index: int, starts: tuple[Level, ...], memory: dict[str, Any], weight: float = 1.0, **changes: Any) -> Step:
    level = starts[index]
    fields: dict[str, Any] = {"index": index, "count": len(starts), "starts": starts, "memory": memory}
    fields |= {"level": level, "start": level}
    return a_step(weight, **(fields | changes))


def weight_and_log(fbg: FBG, step: Step, cond: Tensor = COND, uncond: Tensor = UNCOND) -> tuple[float, float]:
    """The weight that it comes to at a step, and the log-posterior."""
    guided(fbg, step, cond, uncond)
    return float(step.notes["effective_weight"]), float(step.notes["log_posterior"])


def ran(fbg: FBG, steps: int, weight: float = 1.0, same: bool = False) -> tuple[list[float], list[float]]:
    """Weights and logs over steps whose x and predictions are noise; equal predictions where `same`."""
    starts, memory, found = ladder(steps), dict[str, Any](), []
    for index in range(steps):
        step = at(index, starts, memory, weight, x=noise(50 + index))
        cond = 0.3 * noise(index)
        found.append(weight_and_log(fbg, step, cond, cond if same else 0.3 * noise(index + 100)))
    weights, logs = zip(*found, strict=True)
    return list(weights), list(logs)


# Self-checks of the method


@LAW
@given(pi=st.floats(0.2, 1, exclude_max=True))  # at 1 there is nothing to weigh: the next test
def test_a_log_posterior_of_0_is_a_weight_of_1_by_pi(pi: float) -> None:
    weight, log = weight_and_log(FBG(pi=pi), at(0, ladder(4), {}))
    assert log == 0 and weight == pytest.approx(1 / pi, rel=1e-12)


@LAW
@given(data=st.data())
def test_pi_of_1_is_the_conditional_model(data: st.DataObject) -> None:
    """At every step; with a weight beside it, it is CFG."""
    fbg = data.draw(drawn(FBG, pi=1.0, sigma_low=0.0, sigma_high=None))
    starts, memory = ladder(4), dict[str, Any]()
    for index in range(4):
        assert torch.equal(guided(fbg, at(index, starts, memory), noise(index), UNCOND), noise(index))
        step = at(index, starts, memory, 3.0)
        plain = guided(CFG(), step, noise(index), UNCOND)
        torch.testing.assert_close(guided(fbg, step, noise(index), UNCOND), plain, rtol=1e-12, atol=1e-12)


@LAW
@given(pi=st.floats(0.7, 0.9999), t0=st.floats(0, 0.9))
def test_where_nothing_is_learnt_the_log_posterior_drifts_by_delta_alone(pi: float, t0: float) -> None:
    """And lambda is 3 when the share t0 of the steps is left."""
    steps = 40
    _, logs = ran(FBG(pi=pi, t0=t0, largest=1000), steps, same=True)
    delta = math.log((1 - pi) * 1.5) / ((1 - t0) * steps)
    least = math.log((1 - pi) * 1000 / 999)
    expected = [max(index * delta, least) for index in range(steps)]
    assert logs == pytest.approx(expected, abs=1e-9)
    at_t0 = (1 - t0) * steps * delta
    assert 1 / (1 - (1 - pi) * math.exp(-at_t0)) == pytest.approx(3)


@LAW
@given(data=st.data(), weight=st.floats(-5, 20))
def test_lambda_stays_between_its_bounds(data: st.DataObject, weight: float) -> None:
    """1 / (1 - (1 - pi) e^-3) below, `largest` with the added weight above, whatever the picture does."""
    fbg = data.draw(drawn(FBG, sigma_low=0.0, sigma_high=None))
    weights, _ = ran(fbg, 8, weight)
    below = 1 / (1 - (1 - fbg.pi) * math.exp(-3))
    most = max(fbg.largest - (weight - 1), 1.0)
    for found in weights:
        assert min(below, most) - 1e-6 <= found - (weight - 1) <= most + 1e-6


def test_the_authors_command_line_defaults_are_a_constant_2() -> None:
    """Their bound on L is then the value that it begins with, so feedback cannot raise the weight above 1 / pi."""
    weights, logs = ran(FBG(pi=0.5, t0=0.5, t1=0.35, largest=2), 12, same=True)
    assert weights == pytest.approx([2.0] * 12) and logs == pytest.approx([0.0] * 12)


# Against the formula


def by_hand(log: float, seen: tuple[Tensor, Tensor, Tensor, Tensor], s: float, s2: float, **k: float) -> float:
    """One update as it is written down. `seen` is x, where it went, and both denoised estimates, in Karras' scale."""
    x, after, cond, uncond = seen
    v = (s**2 - s2**2) * s2**2 / s**2
    means = [s2**2 / s**2 * x + (s**2 - s2**2) / s**2 * denoised for denoised in (cond, uncond)]
    from_cond, from_uncond = (float(((after - mean) ** 2).sum()) for mean in means)
    log = log - k["tau"] / (2 * v) * (from_cond - from_uncond) + k["delta"]
    return min(max(log, k["least"]), 3.0)


def controller(fbg: FBG, ratios: list[float], weight: float) -> dict[str, float]:
    """delta, tau and the smallest L, as the authors' code has them but for its rounding to 4 decimals.

    Its table of variances runs over the steps backwards, from a zero for the last.
    """
    count = len(ratios)
    delta = math.log((1 - fbg.pi) * 3 / 2) / ((1 - fbg.t0) * count)
    table = torch.zeros(count, dtype=torch.float64)
    for i in range(count - 1):
        table[count - i - 1] = (ratios[i] ** 2 - ratios[i + 1] ** 2) * ratios[i + 1] ** 2 / ratios[i] ** 2
    low = math.floor(fbg.t1 * count)
    share = fbg.t1 * count - low
    tau = abs(2 * ((1 - share) * float(table[low]) + share * float(table[low + 1])) / 10 * delta)
    most = fbg.largest - (weight - 1)
    return {"delta": delta, "tau": tau, "least": math.log((1 - fbg.pi) * most / (most - 1))}


@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_steps_are_the_recursion_by_hand(weight: float) -> None:
    fbg, starts, memory = FBG(**SENSITIVE), ladder(12), dict[str, Any]()
    ratios = [level.ratio for level in starts]
    log, known = 0.0, controller(fbg, ratios, weight)
    xs = [level.alpha * (noise(k) * 0.1 + level.ratio * noise(99)) for k, level in enumerate(starts)]
    logs = []
    for index, level in enumerate(starts):
        cond, uncond = 0.3 * noise(index + 10), 0.3 * noise(index + 40)
        _, found = weight_and_log(fbg, at(index, starts, memory, weight, x=xs[index]), cond, uncond)
        assert found == pytest.approx(log, rel=1e-8, abs=1e-9)
        logs.append(found)
        if index + 1 < len(starts):
            here, there = (xs[k] / starts[k].alpha for k in (index, index + 1))
            log = by_hand(log, (here, there, cond, uncond), level.ratio, ratios[index + 1], **known)
    assert len({round(log, 6) for log in logs}) > 4  # it was not at a bound all the time


@pytest.mark.parametrize(("sampler", "heun"), [(Euler, False), (Heun, True)])
@pytest.mark.parametrize(
    ("weight", "window"), [(1.0, (0.0, None)), (2.0, (0.0, None)), (2.0, (0.3, 3.0))], ids=["fbg", "cfg", "interval"]
)
def test_a_trajectory_is_the_authors_loop(
    sampler: type[Euler] | type[Heun], heun: bool, weight: float, window: tuple[float, float | None]
) -> None:
    """Their sampler written out, on exact denoisers; both of Heun's evaluations have the weight of the first.

    Theirs has the window open at both ends; no level of the grid lies on one. diffusers keeps its levels in float32.
    """
    low, high = window
    fields = SENSITIVE | {"sigma_low": low, "sigma_high": high}
    fbg = FBG(**fields)
    steps = sampler(steps=16, spacing="karras")
    spec = GuidanceSpec.model_validate(
        {"combiner": fbg.model_dump(), "schedule": {"type": "constant", "weight": weight}}
    )
    trajectory = PAIR.trajectory(spec, steps)
    sample = drive(trajectory.run(), trajectory.model.evaluate)

    ratios = [call.level.ratio for call in trajectory.plan.calls if call.within == 0]
    known, x, log, weights = controller(fbg, ratios, weight), PAIR.start(steps), 0.0, []
    for s, s2 in zip(ratios, [*ratios[1:], 0.0], strict=True):
        lam = math.exp(log) / (math.exp(log) - (1 - fbg.pi))
        lam += (weight - 1) if low < s < (high or math.inf) else 0.0
        weights.append(lam)
        cond, uncond = (PAIR.denoised(x, s, w) for w in (1.0, 0.0))
        after = x + (s2 - s) * (x - uncond - lam * (cond - uncond)) / s
        if heun and s2:
            second = (after - PAIR.denoised(after, s2, lam)) / s2
            after = x + (s2 - s) * 0.5 * ((x - uncond - lam * (cond - uncond)) / s + second)
        if s2:
            log = by_hand(log, (x, after, cond, uncond), s, s2, **known)
        x = after
    column = trajectory.diagnostics.columns()["effective_weight"]
    assert column == pytest.approx([lam for lam in weights for _ in range(2 if heun else 1)][: len(column)], rel=1e-5)
    assert max(weights) - min(weights) > 0.02
    torch.testing.assert_close(sample, x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ratio", [math.inf, 80.0])
def test_a_step_from_zero_signal_is_the_limit_of_large_noise(ratio: float) -> None:
    """There m_k is the denoised estimate itself, and no infinity appears."""
    starts = (Level.variance_preserving(999, ratio), Level.variance_preserving(500, 0.9))
    fbg, memory = FBG(**SENSITIVE), dict[str, Any]()
    weight_and_log(fbg, at(0, starts, memory), 0.1 * COND, 0.1 * UNCOND)
    _, log = weight_and_log(fbg, at(1, starts, memory))
    past = memory.copy()
    assert math.isfinite(log) and past
    if math.isinf(ratio):
        after = noise(0) / starts[1].alpha
        share, variance = transition(*starts)
        assert share == 0 and variance == pytest.approx(0.9**2)
        squares = [float(((after - 0.1 * denoised) ** 2).sum()) for denoised in (UNCOND, COND)]
        delta = math.log(0.1 * 1.5) / (0.7 * 2)
        tau = abs(2 * 0.9**2 / 10 * delta)
        expected = tau * (squares[0] - squares[1]) / (2 * variance) + delta
        assert log == pytest.approx(min(max(expected, math.log(0.1 * 10 / 9)), 3.0), rel=1e-9)


# What it remembers


def test_it_begins_anew_where_the_step_number_falls() -> None:
    memory, starts = dict[str, Any](), ladder(6)
    fbg = FBG(**SENSITIVE)
    logs = [weight_and_log(fbg, at(index, starts, memory))[1] for index in range(4)]
    assert logs[-1] != 0 and weight_and_log(fbg, at(0, starts, memory))[1] == 0


def test_a_step_taken_again_has_the_weight_that_it_had() -> None:
    memory, starts = dict[str, Any](), ladder(6)
    fbg = FBG(**SENSITIVE)
    first = [weight_and_log(fbg, at(index, starts, memory)) for index in range(3)][-1]
    assert weight_and_log(fbg, at(2, starts, memory, x=noise(77))) == first


def test_over_steps_without_guidance_it_stays() -> None:
    memory, starts = dict[str, Any](), ladder(8)
    fbg = FBG(**SENSITIVE)
    before = [weight_and_log(fbg, at(index, starts, memory)) for index in range(3)][-1]
    assert weight_and_log(fbg, at(5, starts, memory)) == before
    assert weight_and_log(fbg, at(6, starts, memory)) != before


def test_rows_have_weights_of_their_own() -> None:
    fbg, starts, memory = FBG(**SENSITIVE), ladder(4), dict[str, Any]()
    shape = (3, 2, 3, 4)
    x, cond, uncond = (noise(seed, shape) for seed in (1, 2, 3))
    values = [guided(fbg, at(index, starts, memory, x=x), cond, uncond) for index in range(2)]
    for row in range(3):
        own, memory = slice(row, row + 1), {}
        for index in range(2):
            alone = guided(fbg, at(index, starts, memory, x=x[own]), cond[own], uncond[own])
            torch.testing.assert_close(alone, values[index][own], rtol=1e-12, atol=1e-12)


# In a spec


def test_the_window_needs_its_ends_in_order() -> None:
    with pytest.raises(ValidationError, match="sigma_low = 3"):
        FBG(sigma_low=3, sigma_high=2)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"condition": [{"type": "swap", "changes": [{"prompt": "a ring"}]}]}, "carries over what the condition was"),
        ({"reuse": {"type": "adaptive"}}, "both decide on the way how strongly to guide"),
    ],
)
def test_what_would_mislead_it_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        GuidanceSpec.model_validate({"combiner": {"type": "fbg"}} | fields)
    GuidanceSpec.model_validate({"combiner": {"type": "cfg"}} | fields)


@pytest.mark.parametrize(
    "sampler", [DDIM(steps=8), EulerAncestral(steps=8), Heun(steps=8, spacing="karras")], ids=lambda s: s.type
)
def test_two_runs_are_the_same_picture(sampler: AnySampler) -> None:
    spec = GuidanceSpec.model_validate({"combiner": {"type": "fbg"} | SENSITIVE})

    def run() -> tuple[Trajectory, Tensor]:
        trajectory = PAIR.trajectory(spec, sampler)
        return trajectory, drive(trajectory.run(), trajectory.model.evaluate)

    (trajectory, first), (_, second) = run(), run()
    assert torch.equal(first, second) and first.isfinite().all()
    assert trajectory.nfe_done == trajectory.plan.nfe
    assert set(trajectory.diagnostics.columns()) >= {"effective_weight", "log_posterior"}
