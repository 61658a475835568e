"""Noise tables and grids, in numpy, against diffusers' own schedulers."""

from __future__ import annotations

import math
from typing import Any

import diffusers
import numpy as np
import pytest

from guidance.noise import NoiseTable
from guidance.registry import members
from guidance.samplers import DDIM, Heun, Sampler
from guidance.samplers.grid import SMALLEST_SIGNAL, karras
from guidance.samplers.solver import Solver

SAMPLERS: list[type[Sampler]] = [m for m in members("sampler") if issubclass(m, Sampler) and m.solver]
"""Those that wrap a scheduler of diffusers."""

SCALED: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
TABLES = {
    "linear": NoiseTable(steps_offset=1),
    "scaled_linear": NoiseTable(**SCALED, steps_offset=1),
    "cosine": NoiseTable(beta_schedule="squaredcos_cap_v2"),
    "trained": NoiseTable(num_train_timesteps=400, trained_betas=tuple(np.linspace(0.001, 0.03, 400).tolist())),
    "zero_snr": NoiseTable(**SCALED, rescale_betas_zero_snr=True),
}
COUNTS = (2, 7, 30, 121, 250)
"""121: with 1000 training steps and trailing spacing, diffusers counts one too many."""

CASES = [
    pytest.param(method, name, spacing, id=f"{method.type_name()}-{name}-{spacing}")
    for method in SAMPLERS
    for name, table in TABLES.items()
    for spacing in ("leading", "trailing", "linspace", "karras")
    if (spacing != "karras" or (method.karras and name != "cosine"))  # its last level is 250 times the one before
    and (method.zero_snr or not table.rescale_betas_zero_snr)
]


def config(table: NoiseTable) -> dict[str, Any]:
    return table.model_dump(exclude_none=True) | {"prediction_type": "v_prediction"}


@pytest.mark.parametrize(("method", "name", "spacing"), CASES)
def test_a_solver_stands_at_the_levels_of_its_sampler(method: type[Sampler], name: str, spacing: str) -> None:
    """Timesteps, and sigma or alpha. diffusers keeps float32 tables: 3e-4 of a sigma, 1e-3 of a time."""
    table = TABLES[name]
    for steps in COUNTS:
        sampler = method.model_validate({"steps": steps, "spacing": spacing})
        scheduler, levels = Solver(sampler, table, config(table)).scheduler, sampler.levels(table)
        times = [level.t for level in levels]
        np.testing.assert_allclose(scheduler.timesteps.numpy(), times, rtol=0, atol=1e-3, err_msg=f"{steps} steps")
        np.testing.assert_allclose(_ratios(scheduler), _own(levels), rtol=3e-4, err_msg=f"{steps} steps")


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_those_of_diffusers(name: str) -> None:
    alphas = diffusers.DDIMScheduler(**config(TABLES[name])).alphas_cumprod.double().numpy()
    np.testing.assert_allclose(1 / (1 + TABLES[name].ratios ** 2), alphas, rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("name", TABLES)
def test_noise_grows_along_a_table(name: str) -> None:
    ratios = TABLES[name].ratios
    assert (np.diff(ratios) > 0).all() and len(ratios) == TABLES[name].num_train_timesteps
    assert math.isinf(ratios[-1]) == TABLES[name].rescale_betas_zero_snr


def test_zero_signal_is_exact_for_solvers_on_alpha_and_finite_for_those_on_sigma() -> None:
    exact, finite = (
        method.model_validate({"steps": 5, "spacing": "trailing"}).levels(TABLES["zero_snr"])[0]
        for method in SAMPLERS
        if method.type_name() in ("ddim", "euler")
    )
    assert (exact.alpha, exact.sigma, exact.ratio, exact.log_snr) == (0, 1, math.inf, -math.inf)
    assert finite.alpha**2 == pytest.approx(SMALLEST_SIGNAL, rel=1e-6)


def test_karras_levels_are_even_in_the_seventh_root() -> None:
    """Karras et al. 2022, arXiv:2206.00364, eq. 5."""
    sigmas = karras(32, 80.0, 0.002)
    assert (sigmas[0], sigmas[-1]) == pytest.approx((80, 0.002))
    np.testing.assert_allclose(np.diff(sigmas ** (1 / 7)), np.full(31, (0.002 ** (1 / 7) - 80 ** (1 / 7)) / 31))


@pytest.mark.parametrize("steps", [61, 103, 121, 122, 201, 244])
def test_trailing_spacing_never_falls_below_time_zero(steps: int) -> None:
    levels = DDIM(steps=steps, spacing="trailing").levels(TABLES["linear"])
    assert len(levels) == steps and levels[-1].t >= 0


def test_heun_evaluates_both_ends_of_each_step_but_the_last() -> None:
    levels, single = Heun(steps=4).levels(TABLES["linear"]), DDIM(steps=4).levels(TABLES["linear"])
    assert [level.t for level in levels] == [single[k].t for k in (0, 1, 1, 2, 2, 3, 3)]
    assert [Heun(steps=4).place(call) for call in range(7)] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0)]


def test_the_spacing_left_out_is_the_table_s_own() -> None:
    table = NoiseTable(timestep_spacing="leading", steps_offset=1)
    assert DDIM(steps=4).levels(table) == DDIM(steps=4, spacing="leading").levels(table)
    assert DDIM(steps=4).levels(table) != DDIM(steps=4, spacing="trailing").levels(table)


def _ratios(scheduler: Any) -> Any:
    """sigma / alpha at each call of the network."""
    if hasattr(scheduler, "sigmas"):
        return scheduler.sigmas.double().numpy()[: len(scheduler.timesteps)]
    alphas = scheduler.alphas_cumprod.double().numpy()[scheduler.timesteps.numpy()]
    with np.errstate(divide="ignore"):
        return np.sqrt((1 - alphas) / alphas)


def _own(levels: list[Any]) -> list[float]:
    return [level.ratio for level in levels]
