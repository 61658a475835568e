"""docs/choosing.md: what it says to try can be asked of the shipped models."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from guidance.info import ModelInfo
from jobs.request import GenerationRequest, resolve
from workers.loading import SHIPPED, load

PAGE = (Path(__file__).parents[2] / "docs" / "choosing.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| [")]
SPECS = [json.loads(spec) for row in ROWS for spec in re.findall(r"`(\{.*?\})`", row)]


@pytest.fixture(scope="module")
def infos() -> dict[str, ModelInfo]:
    names = ("shapes", "shapes-weak")
    return {name: load(name, str(SHIPPED / name), torch.device("cpu"), torch.float32).info for name in names}


def test_every_wish_has_a_spec_but_the_one_for_a_negative_prompt() -> None:
    assert len(SPECS) == len(ROWS) - 1 > 0


@pytest.mark.parametrize("spec", SPECS, ids=json.dumps)
def test_what_is_to_be_tried_can_be_asked(spec: dict[str, Any], infos: dict[str, ModelInfo]) -> None:
    asked = {"model": "shapes", "prompt": "a red star", "sampler": {"type": "ddim"}, "guidance": spec}
    resolve(GenerationRequest.model_validate(asked), infos["shapes"], beside=infos)
