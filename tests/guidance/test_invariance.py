"""A row of a batch has the same bits whatever its neighbours, their number and its place among them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from guidance.models.invariance import ROWS, make_batch_invariant, padded
from guidance.models.stable_diffusion import StableDiffusion
from guidance.noise import Level
from guidance.protocol import Branch
from tests.guidance.steps import noise

SHAPES = Path(__file__).parents[2] / "models" / "shapes"
LARGEST = 16


@cache
def network(folder: Path) -> StableDiffusion:
    return StableDiffusion.load(folder, "tiny", torch.device("cpu"), torch.float32)


@cache
def rows(folder: Path) -> list[Branch]:
    """Different noise, level and prompt in each row."""
    model = network(folder)
    shape = model.shape(model.info.width, model.info.height)
    levels = [Level.variance_preserving(float(37 * row), 1.0) for row in range(LARGEST)]
    conditions = [model.encode(f"row {row}") for row in range(LARGEST)]
    return [Branch("cond", noise(row, shape, torch.float32), levels[row], conditions[row]) for row in range(LARGEST)]


def check(folder: Path, size: int, shift: int = 0) -> None:
    chosen = [(row + shift) % LARGEST for row in range(size)]
    together = network(folder).evaluate([rows(folder)[row] for row in chosen])
    for row, got in zip(chosen, together, strict=True):
        assert torch.equal(got, alone(folder, row)), f"row {row} of a batch of {size}"


@cache
def alone(folder: Path, row: int) -> Tensor:
    return network(folder).evaluate([rows(folder)[row]])[0]


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_a_row_has_the_same_bits_in_a_batch_of_any_size(folder: Path, size: int) -> None:
    check(folder, size)


@pytest.mark.parametrize("shift", [1, 3, 5, 15])
@pytest.mark.parametrize("size", [2, 3, 7, 16])
def test_a_row_has_the_same_bits_in_any_place(folder: Path, size: int, shift: int) -> None:
    check(folder, size, shift)


@pytest.mark.parametrize("size", [2, 3, 5, 8, 13, 16])
@pytest.mark.parametrize("path", [SHAPES], ids=["shapes"])
def test_the_shipped_model_is_batch_invariant(path: Path, size: int) -> None:
    check(path, size, shift=size)


def test_a_padded_layer_computes_what_it_did() -> None:
    torch.manual_seed(0)
    plain, layer = (torch.nn.Sequential(torch.nn.Linear(5, 3)) for _ in range(2))
    layer.load_state_dict(plain.state_dict())
    make_batch_invariant(layer)
    with torch.inference_mode():
        for count in range(1, 2 * ROWS + 1):
            input = noise(count, (count, 5), torch.float32)
            torch.testing.assert_close(layer(input), plain(input))


@pytest.fixture(params=[1, 2], ids=["one_thread", "two_threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_a_pointwise_convolution_has_the_same_bits_in_a_batch_of_any_size() -> None:
    """As it is in torch, one of 256 to 128 channels has other bits on one thread from 16 rows."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(256, 128, 1))
    plain, x = network[0].forward, noise(1, (20, 256, 8, 8), torch.float32).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected = plain(x)
        make_batch_invariant(network)
        first = network(x[:1])
        assert all(torch.equal(network(x[:size])[:1], first) for size in range(2, 21))
        torch.testing.assert_close(network(x), expected)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("side", [16, 31, 32, 33, 64])
def test_a_group_norm_has_the_same_bits_in_a_batch_of_any_size(side: int) -> None:
    """As it is in torch, the middle row of an odd batch has other bits on two threads from 32 x 32."""
    network = torch.nn.Sequential(torch.nn.GroupNorm(8, 32))
    plain, x = network[0].forward, noise(1, (9, 32, side, side), torch.float32).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected = plain(x)
        make_batch_invariant(network)
        alone = [network(padded(row))[0] for row in torch.split(x, 1)]
        for size in range(2, 10):
            together = network(x[:size])
            assert all(torch.equal(got, row) for got, row in zip(together, alone, strict=False)), size
            assert together.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(network(x), expected)


def test_a_lone_row_is_doubled_and_more_are_left_alone() -> None:
    one, three = torch.ones(1, 2), torch.ones(3, 2)
    assert padded(one).shape == (2, 2) and padded(three) is three
