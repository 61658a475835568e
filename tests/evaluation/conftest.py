"""The shipped model, with a classifier of random weights: what it says means nothing, and it is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.sweep import Sweep
from guidance.models.base import Model
from guidance.models.classifier import FOLDER as CLASSIFIER
from training.classifier import GROUPS
from training.features import FOLDER, FeatureClassifier
from workers.loading import COMPONENTS, SHIPPED, load


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation") / "shapes"
    folder.mkdir()
    for part in (*COMPONENTS, CLASSIFIER, "model_index.json"):
        (folder / part).symlink_to(SHIPPED / "shapes" / part)
    torch.manual_seed(0)
    FeatureClassifier(GROUPS, ("noise",)).save_pretrained(folder / FOLDER)
    return folder


@pytest.fixture(scope="session")
def model(folder: Path) -> Model:
    return load("shapes", str(folder), torch.device("cpu"), torch.float32)


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where intervals are not looked at."""
    monkeypatch.setattr("evaluation.bootstrap.RESAMPLES", 40)


@pytest.fixture
def sweep(folder: Path) -> Sweep:
    """Two points of eight images in three steps."""
    return Sweep.model_validate(
        {
            "name": "tiny",
            "models": {"shapes": str(folder)},
            "images": {"quick": 8, "full": 12},
            "reference": {"quick": 40, "full": 40},
            "sampler": {"type": "ddim", "steps": 3},
            "points": [{"name": "cfg", "guidance": {"schedule": {"type": "constant"}}, "weight": [1, 3]}],
            "baseline": "cfg w=1",
        }
    )
