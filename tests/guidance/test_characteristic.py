"""Characteristic Guidance against what it is exact for, and against its authors' iteration."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from guidance.combiners import Characteristic
from guidance.models.gaussians import Gaussians
from guidance.noise import Level
from guidance.protocol import Branch, Step
from tests.guidance.fixed_point import Reference
from tests.guidance.steps import a_step, noise, of
from tests.guidance.strategies import LAW, drawn
from tests.oracles import Pair

EXACT = Characteristic(basis=None, tolerance=1e-10)
WIDE_NULL = Pair(cond_mean=0.5, uncond_mean=-0.25, cond_std=1, uncond_std=2)
NOISIEST = Level.variance_preserving(999, 14.6)

MEANS, STDS = 0.8 * noise(7, (4, 2, 6, 6)), torch.tensor([0.6, 0.9, 0.5, 1.2], dtype=torch.float64)
MIXTURE = Gaussians(MEANS, STDS)
PRIORS = {"cond": torch.tensor([[0.7, 0.3, 0, 0]]).double(), "uncond": torch.full((1, 4), 0.25).double()}


def level(sigma: float) -> Level:
    return Level.variance_preserving(500, sigma)


def solved(combiner: Characteristic, step: Step, eps: Callable[[Branch], Tensor]) -> tuple[Tensor, list[str]]:
    """The guided noise prediction of a network, and the names of the branches it was asked for."""
    guide, asked = combiner.guide(step), []
    try:
        branches = next(guide)
        while True:
            asked += [branch.name for branch in branches]
            branches = guide.send([eps(branch) for branch in branches])
    except StopIteration as done:
        return done.value, asked


def of_pair(pair: Pair) -> Callable[[Branch], Tensor]:
    model = pair.model()
    priors = {"cond": model.label(0).given["prior"], "uncond": model.label(1).given["prior"]}
    return lambda branch: model.eps(branch.x, branch.level.alpha, branch.level.sigma, priors[of(branch)])


def of_mixture(branch: Branch) -> Tensor:
    prior, here = PRIORS[of(branch)], branch.level
    return torch.cat([MIXTURE.eps(row[None], here.alpha, here.sigma, prior) for row in branch.x])


def product(pair: Pair, w: float) -> tuple[float, float]:
    """Mean and variance of p_cond^w p_uncond^(1 - w)."""
    cond, uncond = w / pair.cond_std**2, (1 - w) / pair.uncond_std**2
    return (cond * pair.cond_mean + uncond * pair.uncond_mean) / (cond + uncond), 1 / (cond + uncond)


def x_at(sigma: float, pixels: int = 4) -> Tensor:
    """A noisy sample at level(sigma)."""
    here = level(sigma)
    return here.alpha * noise(1, (1, 1, pixels, pixels)) + here.sigma * noise(2, (1, 1, pixels, pixels))


# Its identities


@pytest.mark.parametrize("sigma", [0.3, 2.0, 10.0])
@pytest.mark.parametrize("w", [0.4, 1.5, 5.0])
def test_unprojected_it_is_the_exact_diffused_product_of_gaussians(sigma: float, w: float) -> None:
    """To 1e-6, in Karras' scale: sigma (y - m) / (V + sigma^2)."""
    x, here = x_at(sigma), level(sigma)
    guided, _ = solved(EXACT, a_step(w, x=x, level=here), of_pair(WIDE_NULL))
    mean, variance = product(WIDE_NULL, w)
    exact = sigma * (x / here.alpha - mean) / (variance + sigma**2)
    torch.testing.assert_close(guided, exact, rtol=0, atol=1e-6)


def test_cfg_is_not_the_diffused_product() -> None:
    x, here, said = x_at(2.0), level(2.0), of_pair(WIDE_NULL)
    step = a_step(5.0, x=x, level=here)
    cond, uncond = said(step.cond), said(step.uncond)
    mean, variance = product(WIDE_NULL, 5.0)
    exact = 2.0 * (x / here.alpha - mean) / (variance + 4)
    assert float((uncond + 5 * (cond - uncond) - exact).abs().max()) > 1


@pytest.mark.parametrize("w", [0.4, 1.5, 5.0])
def test_equal_variances_give_cfg_at_a_known_shift(w: float) -> None:
    """d = sigma^2 / V (m_c - m_u)."""
    pair, here = Pair(), level(2.0)
    step = a_step(w, x=x_at(2.0), level=here)
    guided, _ = solved(EXACT, step, of_pair(pair))
    cond, uncond = of_pair(pair)(step.cond), of_pair(pair)(step.uncond)
    torch.testing.assert_close(guided, uncond + w * (cond - uncond), rtol=0, atol=1e-12)
    shift, _ = step.memory["characteristic"]
    expected = 4 / pair.cond_std**2 * (pair.cond_mean - pair.uncond_mean)
    torch.testing.assert_close(shift, torch.full_like(shift, expected), rtol=1e-9, atol=0)


@LAW
@given(data=st.data(), w=st.floats(-5, 10))
def test_equal_predictions_are_not_shifted(data: st.DataObject, w: float) -> None:
    step = a_step(w, x=noise(0, (1, 2, 6, 6)))
    combiner = data.draw(drawn(Characteristic))
    guided, _ = solved(combiner, step, lambda b: MIXTURE.eps(b.x, b.level.alpha, b.level.sigma, PRIORS["cond"]))
    expected = MIXTURE.eps(step.cond.x, step.level.alpha, step.level.sigma, PRIORS["cond"])
    assert torch.equal(guided, expected)
    assert not step.memory or not step.memory["characteristic"][0].any()


@pytest.mark.parametrize(("w", "name"), [(1.0, "cond"), (0.0, "uncond")])
def test_at_weight_1_only_the_conditional_branch_is_evaluated(w: float, name: str) -> None:
    """And at 0 only the other: their inputs would not be shifted."""
    step = a_step(w, x=noise(0, (1, 2, 6, 6)))
    guided, asked = solved(Characteristic(), step, of_mixture)
    assert asked == [name] and torch.equal(guided, of_mixture(getattr(step, name)))


# The authors' iteration


@pytest.mark.parametrize("basis", [None, 0, 1, 3])
@pytest.mark.parametrize("w", [1.5, 3.0, 8.0])
def test_it_is_the_authors_iteration(basis: int | None, w: float) -> None:
    """Falling through five levels, each begun at the last shift: the same counts, predictions to 1e-7.

    Without a projection only at the first level, and to a coarser tolerance: iterations as long as those below it
    are decided by rounding, which the reference's least squares do not repeat.
    """
    tolerance, sigmas = (1e-2, (6.0,)) if basis is None else (1e-4, (6.0, 2.5, 1.0, 0.4, 0.1))
    combiner = Characteristic(basis=basis, tolerance=tolerance)
    reference, counts = Reference(basis=basis, tolerance=tolerance), []
    memory: dict[str, Any] = {}
    for index, sigma in enumerate(sigmas):
        here = level(sigma)
        x = 0.5 * MEANS[:1] + sigma * noise(index, (1, 2, 6, 6))
        step = a_step(w, x=here.alpha * x, level=here, index=index, memory=memory, noisiest=NOISIEST)
        guided, asked = solved(combiner, step, of_mixture)
        cond, uncond = (_noise(name, here) for name in ("cond", "uncond"))
        expected = reference.guided(cond, uncond, x, w, here, NOISIEST)
        torch.testing.assert_close(guided, expected, rtol=0, atol=1e-7)
        counts.append(step.notes["characteristic_iterations"])
        assert len(asked) == 2 * counts[-1] + 2 * (index > 0) <= combiner.evaluations(frozenset(), w, index, 10)
    assert counts == reference.counts and max(counts) > 1


@LAW
@given(data=st.data(), w=st.sampled_from([1.5, 3.0, 6.0]), tolerance=st.sampled_from([1e-2, 1e-4]))
def test_a_row_does_not_depend_on_its_neighbours(data: st.DataObject, w: float, tolerance: float) -> None:
    """Rows that converge early are kept as they were."""
    combiner = data.draw(drawn(Characteristic, tolerance=tolerance, max_iterations=8, start=0.0, stop=1.0))
    x, here = torch.cat([level(2.0).alpha * (MEANS[k] + 2 * noise(k, (1, 2, 6, 6))) for k in range(3)]), level(2.0)
    together, _ = solved(combiner, a_step(w, x=x, level=here), of_mixture)
    for row in range(3):
        alone, _ = solved(combiner, a_step(w, x=x[row : row + 1], level=here), of_mixture)
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-9, atol=1e-9)


# Where it does not converge


@pytest.mark.parametrize("broken", [False, True], ids=["too_few_iterations", "a network that answers NaN"])
def test_where_it_does_not_converge_it_is_cfg_and_says_so(broken: bool) -> None:
    step = a_step(5.0, x=noise(0, (1, 2, 6, 6)))
    combiner = Characteristic() if broken else Characteristic(max_iterations=2)

    def eps(branch: Branch) -> Tensor:
        return of_mixture(branch) * (math.nan if broken and "@" in branch.name else 1)

    guided, asked = solved(combiner, step, eps)
    cond, uncond = of_mixture(step.cond), of_mixture(step.uncond)
    assert torch.equal(guided, uncond + 5 * (cond - uncond))
    assert step.notes["characteristic_residual"] > combiner.tolerance
    assert not step.memory["characteristic"][0].any()
    assert len(asked) == 4, "it stops where nothing more can come of it"


def test_a_second_evaluation_of_a_step_begins_at_the_first_s_shift_and_leaves_it() -> None:
    first = a_step(3.0, x=x_at(2.0), level=level(2.0))
    solved(EXACT, first, of_pair(WIDE_NULL))
    kept, sigma = first.memory["characteristic"]
    second = a_step(3.0, x=x_at(1.0), level=level(1.0), call=1, memory=first.memory)
    _, asked = solved(EXACT, second, of_pair(WIDE_NULL))
    assert asked[2:4] == ["cond@1", "uncond@1"]
    assert first.memory["characteristic"][0] is kept and sigma == 2.0


def test_nothing_is_left_of_a_window_upside_down() -> None:
    with pytest.raises(ValidationError, match=r"start = 0\.5 must be below stop = 0\.4"):
        Characteristic(start=0.5, stop=0.4)


def _noise(name: str, here: Level) -> Callable[[Tensor], Tensor]:
    """The mixture's noise prediction at x in Karras' scale."""
    return lambda x: MIXTURE.eps(here.alpha * x, here.alpha, here.sigma, PRIORS[name])
