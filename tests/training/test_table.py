"""The w table, from a quickly trained folder to JSON, Markdown and pictures."""

import json
from pathlib import Path

import pytest

from training.__main__ import main as train_main
from training.table import WEIGHTS, main


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("table")
    train_main(["--quick", "--out", str(root / "model"), "--work", str(root / "work")])
    return root


def test_the_table_has_a_row_for_every_weight(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.table.VALIDATION", 4)
    main(
        [
            "--model",
            str(model / "model"),
            "--cache",
            str(model / "cache"),
            "--singles",
            "3",
            "--pairs",
            "1",
            "--opens",
            "2",
        ]
    )
    out = model / "model" / "assets"
    report = json.loads((out / "table.json").read_text())
    assert [row["w"] for row in report["weights"]] == list(WEIGHTS)
    assert (out / "table.md").read_text().count("\n") == 2 + len(WEIGHTS)
    assert {path.name for path in out.iterdir()} == {"checker.json", "sheet.png", "table.json", "table.md", "table.png"}
    assert json.loads((out / "checker.json").read_text())["renders"]["all"]["value"] == 1
