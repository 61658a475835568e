"""Folders of tiny random pipelines, made once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.guidance import folders


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline folder with DDIM, trailing spacing."""
    return folders.make(tmp_path_factory.mktemp("pipelines") / "trailing")


@pytest.fixture(scope="session")
def folder_of(folder: Path) -> Callable[[str], Path]:
    """The folder that carries the scheduler of this name (see `folders.SCHEDULERS`)."""

    @cache
    def made(name: str) -> Path:
        return folder if name == "trailing" else folders.with_scheduler(folder, name, folder.parent / name)

    return made
