"""How many rows a forward may have: what is set, or what memory has room for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from guidance.models.gaussians import Gaussians
from jobs.settings import Settings
from tests.guidance import folders
from workers.budget import row_budget, rows_that_fit
from workers.loading import execution, load, pick_dtype

GIB = 2**30
CUDA = torch.device("cuda")


@pytest.mark.parametrize(
    ("free", "rows"),
    [
        (1.5 * GIB, 1),  # not even two
        (3 * GIB, 2),
        (4.9 * GIB, 2),
        (5 * GIB, 4),
        (17 * GIB, 16),
        (23 * GIB, 16),  # 22 would fit, 24 would not
        (1000 * GIB, 64),
    ],
)
def test_as_many_rows_as_have_room_rounded_down_to_a_canonical_size(free: float, rows: int) -> None:
    """One GiB a row and one for all."""
    assert rows_that_fit(free, (2, 3 * GIB), (8, 9 * GIB)) == rows


def test_rows_that_take_no_room_of_their_own_are_bounded_too() -> None:
    assert rows_that_fit(GIB, (2, 100), (8, 100)) == 64


@pytest.mark.parametrize(
    ("given", "rows"),
    [({}, 16), ({"max_batch_rows": 5}, 5), ({"pad_to_rows": 8}, 8), ({"pad_to_rows": 8, "max_batch_rows": 4}, 4)],
)
def test_what_is_set_is_obeyed_and_without_a_gpu_memory_is_not_asked(given: dict[str, Any], rows: int) -> None:
    assert row_budget(Settings(**given), [Gaussians.pictures()]) == rows


def test_settings_say_how_networks_are_run() -> None:
    plain, other = execution(Settings()), execution(Settings(graphs="off", compile=True, pad_to_rows=8))
    assert (plain.graphs, plain.compiled, plain.sizes.always) == (True, False, None)
    assert (other.graphs, other.compiled, other.sizes.always) == (False, True, 8)
    assert execution(Settings(max_batch_rows=10)).sizes.canonical(9) == 10


@pytest.mark.parametrize(
    ("stored", "expected"),
    [(torch.bfloat16, torch.bfloat16), (torch.float16, torch.float16), (torch.float32, torch.float16)],
)
def test_precision_on_a_gpu_is_the_half_precision_that_a_folder_is_stored_in(
    tmp_path: Path, stored: torch.dtype, expected: torch.dtype
) -> None:
    blocks = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",), "mid_block_type": None}
    network = UNet2DConditionModel(**blocks, block_out_channels=(8,), norm_num_groups=8, cross_attention_dim=8)
    network.to(stored).save_pretrained(tmp_path / "unet")
    assert pick_dtype("auto", CUDA, str(tmp_path)) == expected
    assert pick_dtype("auto", torch.device("cpu"), str(tmp_path)) == torch.float32
    assert pick_dtype("float32", CUDA, str(tmp_path)) == torch.float32


def test_a_model_is_run_as_the_settings_say(tmp_path: Path) -> None:
    source = str(folders.make(tmp_path / "tiny"))
    model = load("tiny", source, torch.device("cpu"), torch.float32, execution(Settings(pad_to_rows=4)))
    assert model.execution.sizes.always == 4  # type: ignore[attr-defined]
