"""Tests that need an NVIDIA GPU. Where there is none they are not collected: `make cuda` says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.shaped import SHAPES, make
from workers.loading import SHIPPED

DEVICE = torch.device("cuda")
NAMES = ("shapes", *SHAPES)

if not torch.cuda.is_available():
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The shipped model, and small ones in the shape of others."""
    root = tmp_path_factory.mktemp("cuda")
    return {"shapes": SHIPPED / "shapes"} | {name: make(SHAPES[name].scaled(), root / name) for name in SHAPES}
