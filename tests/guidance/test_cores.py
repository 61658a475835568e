"""Rows dealt to cores: shares, order, errors, and the same bits as one forward of them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis.strategies import integers

from guidance.models.cores import Cores, shares
from guidance.models.invariance import SMALLEST_BATCH
from guidance.models.stable_diffusion import StableDiffusion

SHAPES = Path(__file__).parents[2] / "models" / "shapes"


@pytest.fixture
def two_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@given(rows=integers(1, 64), cores=integers(1, 16))
def test_shares_are_even_none_is_smaller_than_a_batch_and_no_row_is_left_out(rows: int, cores: int) -> None:
    parts = shares(rows, cores)
    sizes = [end - start for start, end in parts]
    assert [row for start, end in parts for row in range(start, end)] == list(range(rows))
    assert max(sizes) - min(sizes) <= 1 and len(parts) == max(1, min(cores, rows // SMALLEST_BATCH))
    assert min(sizes) >= min(rows, SMALLEST_BATCH)


def test_answers_come_in_the_order_of_the_rows(two_cores: None) -> None:
    assert Cores().shared(lambda rows: [10 * row for row in rows], range(5)) == [0, 10, 20, 30, 40]


def test_every_share_has_its_own_part_of_the_cores(two_cores: None) -> None:
    def asked(rows: Sequence[int]) -> list[int]:
        return [torch.get_num_threads()] * len(rows)

    cores = Cores()
    assert {tuple(cores.shared(asked, range(2))) for _ in range(2)} == {(2, 2), (1, 1)}  # both are tried
    assert cores.shared(asked, range(4)) == [1, 1, 1, 1]
    assert torch.get_num_threads() == 2


def test_what_is_whole_has_all_cores_in_a_thread_that_began_with_one(two_cores: None) -> None:
    cores, torch_has = Cores(), torch.get_num_threads

    def begun_with_one() -> tuple[int, int]:
        torch.set_num_threads(1)
        return torch_has(), cores.whole(torch_has)

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(begun_with_one).result() == (1, 2)


def test_an_autoencoder_has_the_same_bits_in_any_thread(two_cores: None) -> None:
    """On AVX-512 they are others on one core; a thread begins with what was set last, in whichever thread."""
    model = StableDiffusion.load(SHAPES, "shapes", torch.device("cpu"), torch.float32)
    sample, picture = torch.randn(1, 4, 16, 16), torch.rand(1, 3, 64, 64)

    def bits(threads: int) -> tuple[bytes, bytes]:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            return model.decode(sample).numpy().tobytes(), model.encode_picture(picture).numpy().tobytes()

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(bits, 1).result() == bits(2)


def test_an_error_is_raised_when_every_share_is_over(two_cores: None) -> None:
    over = []

    def compute(rows: Sequence[int]) -> list[int]:
        if 0 in rows:
            raise ValueError("row 0")
        over.append(tuple(rows))
        return list(rows)

    with pytest.raises(ValueError, match="row 0"):
        Cores().shared(compute, range(4))
    assert over == [(2, 3)]
