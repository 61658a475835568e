"""Orthogonal updates: their singular values, their size, and that they learn."""

import pytest
import torch
from torch import Generator, nn

from training.muon import RMS, Muon, orthogonal


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4)])
def test_singular_values_are_drawn_to_one_and_directions_stay(shape: tuple[int, int]) -> None:
    matrices = torch.randn(3, *shape, generator=Generator().manual_seed(0))
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    found = u.mT @ orthogonal(matrices) @ vh.mT
    diagonal = found.diagonal(dim1=-2, dim2=-1)
    assert bool(((diagonal > 0.6) & (diagonal < 1.25)).all())
    torch.testing.assert_close(found, torch.diag_embed(diagonal), atol=1e-4, rtol=0)


def test_the_scale_of_a_gradient_does_not_matter() -> None:
    matrix = torch.randn(1, 5, 7, generator=Generator().manual_seed(1))
    torch.testing.assert_close(orthogonal(1e-3 * matrix), orthogonal(1e3 * matrix), atol=1e-3, rtol=0)


def test_an_update_is_about_as_large_as_adamw_s() -> None:
    weight = nn.Parameter(torch.zeros(16, 4, 3, 3))
    weight.grad = torch.randn(16, 4, 3, 3, generator=Generator().manual_seed(0))
    Muon([weight], lr=0.1).step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(0.1 * RMS, rel=0.15)


def test_weights_of_one_shape_do_not_mix() -> None:
    grads = torch.randn(2, 3, 5, generator=Generator().manual_seed(2))
    together = [nn.Parameter(torch.zeros(3, 5)) for _ in range(2)]
    alone = [nn.Parameter(torch.zeros(3, 5)) for _ in range(2)]
    for weights in (together, alone):
        for weight, grad in zip(weights, grads, strict=True):
            weight.grad = grad.clone()
    Muon(together, lr=0.1).step()
    for weight in alone:
        Muon([weight], lr=0.1).step()
    for ours, theirs in zip(together, alone, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_it_fits_a_matrix() -> None:
    target, weight = torch.randn(6, 4, generator=Generator().manual_seed(3)), nn.Parameter(torch.zeros(6, 4))
    optimizer = Muon([weight], lr=0.05)
    for _ in range(200):
        weight.grad = weight.detach() - target
        optimizer.step()
    assert float((weight - target).detach().norm() / target.norm()) < 0.1


def test_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"not \(3,\)"):
        Muon([nn.Parameter(torch.zeros(3))], lr=0.1)
