"""The w table, from a quickly trained folder to JSON, Markdown and pictures."""

import json
from pathlib import Path

import pytest

from training.measure import Counts, draw_questions
from training.run import weak_folder
from training.scenes import UNSEEN
from training.table import WEIGHTS, main


def test_the_table_has_a_row_for_every_weight(quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.table.VALIDATION", 4)
    out = tmp_path / "out"
    folders = ["--model", str(quick / "model"), "--out", str(out), "--cache", str(tmp_path / "cache")]
    counts = ["--singles", "3", "--pairs", "1", "--unseen", "2", "--unseen-pairs", "1", "--opens", "2"]
    main([*folders, *counts, "--steps", "1", "--previous", str(weak_folder(quick / "model"))])
    report = json.loads((out / "table.json").read_text())
    assert [row["w"] for row in report["weights"]] == list(WEIGHTS)
    assert (out / "table.md").read_text().count("\n") == 2 + len(WEIGHTS)
    names = {"checker.json", "previous.md", "sheet.png", "table.json", "table.md", "table.png"}
    assert {path.name for path in out.iterdir()} == names
    assert (out / "previous.md").read_text().count("\n") == 2 + len(WEIGHTS)
    assert json.loads((out / "checker.json").read_text())["renders"]["all"]["value"] == 1


def test_captions_of_unseen_combinations_state_them_and_the_others_have_none() -> None:
    questions = draw_questions(Counts(30, 20, 12, 8, 4), seed=3)
    counts = {kind: len(claims) for kind, claims in questions.claims.items()}
    assert counts == {"singles": 30, "pairs": 20, "unseen": 12, "unseen_pairs": 8}
    assert len(questions.captions) == len(questions.noise) == 74
    for kind, claims in questions.claims.items():
        combinations = {(thing.shape, thing.colour) for claim in claims for thing in claim.things}
        assert combinations <= set(UNSEEN) if kind.startswith("unseen") else not combinations & set(UNSEEN)
