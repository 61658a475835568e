"""One quick training for all tests that need a trained folder."""

from pathlib import Path

import pytest

from training.__main__ import main


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model` (the pipeline) and `work` (checkpoints) of a training of seconds. Tests only read it."""
    root = tmp_path_factory.mktemp("training")
    main(["--quick", "--out", str(root / "model"), "--work", str(root / "work")])
    return root
