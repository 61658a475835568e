"""The variants differ in p_uncond alone."""

import json
from pathlib import Path

import pytest
import torch

from training.measure import load
from training.variants import SHARES, main


def test_each_share_gives_a_pipeline_from_the_same_beginning(quick: Path, tmp_path: Path) -> None:
    out = tmp_path / "variants"
    arguments = ["--model", str(quick / "model"), "--out", str(out), "--steps", "1", "--scenes", "16", "--batch", "4"]
    main(arguments)
    models = [load(out / f"p_uncond-{share:g}") for share in SHARES]
    for model in models[1:]:
        ours, first = model.denoiser.text_encoder.state_dict(), models[0].denoiser.text_encoder.state_dict()
        assert all(torch.equal(ours[name], first[name]) for name in ours)
    saved = [json.loads((out / f"p_uncond-{share:g}-work" / "settings.json").read_text()) for share in SHARES]
    assert [one.pop("p_uncond") for one in saved] == list(SHARES)
    assert saved[0] == saved[1] == saved[2]


def test_a_finished_one_is_not_trained_again(quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [
        "--model",
        str(quick / "model"),
        "--out",
        str(tmp_path),
        "--steps",
        "1",
        "--scenes",
        "8",
        "--batch",
        "2",
    ]
    main(arguments)
    monkeypatch.setattr("training.stages.denoising_loss", lambda *arguments: pytest.fail("trained again"))
    main(arguments)
