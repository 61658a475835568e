"""The w table, from a quickly trained folder to JSON, Markdown and pictures."""

import json
from pathlib import Path

import pytest

from training.table import WEIGHTS, main


def test_the_table_has_a_row_for_every_weight(quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.table.VALIDATION", 4)
    out = tmp_path / "out"
    folders = ["--model", str(quick / "model"), "--out", str(out), "--cache", str(tmp_path / "cache")]
    main([*folders, "--singles", "3", "--pairs", "1", "--opens", "2", "--steps", "1"])
    report = json.loads((out / "table.json").read_text())
    assert [row["w"] for row in report["weights"]] == list(WEIGHTS)
    assert (out / "table.md").read_text().count("\n") == 2 + len(WEIGHTS)
    assert {path.name for path in out.iterdir()} == {"checker.json", "sheet.png", "table.json", "table.md", "table.png"}
    assert json.loads((out / "checker.json").read_text())["renders"]["all"]["value"] == 1
