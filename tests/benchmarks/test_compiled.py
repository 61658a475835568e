"""The comparison with a compiled network, without compiling it: that takes minutes, and its speed is not looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.__main__ import main


@pytest.mark.slow  # inductor is imported
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # inductor's own
def test_both_workloads_are_held_against_both_ways_of_diffusers(folder: Path, tmp_path: Path) -> None:
    given = ["--quick", "--only", "compiled", "--model", str(folder), "--output", str(tmp_path), "--device", "cpu"]
    with torch.compiler.set_stance("force_eager"):
        assert main(given) == 0
    found = json.loads((tmp_path / "report.json").read_text())["benchmarks"]["compiled"]["figures"]
    assert [figure["name"] for figure in found] == [
        f"{workload}, ours / {other}"
        for workload in ("8 plain CFG requests", "one request alone")
        for other in ("diffusers", "diffusers compiled")
    ]
    assert all(figure["min"] > 0 for figure in found)
