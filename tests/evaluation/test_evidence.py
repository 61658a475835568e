"""docs/evidence.md says what was measured; measuring writes it; what cannot be measured does not stop the rest."""

from __future__ import annotations

import json
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from evaluation.bootstrap import Replicates
from evaluation.evidence.__main__ import main
from evaluation.evidence.page import filled, pages, slug, spent
from evaluation.evidence.record import Record, asked, columns, sampling_seconds
from evaluation.evidence.site import SITE, Site
from evaluation.png import LARGEST
from evaluation.results import Measured
from evaluation.sweep import Sweep, read_sweep
from training.intervals import Estimate

MEASURED = [name for name in SITE.sweeps if SITE.record(name).exists()]
PAGE = "# Evidence\n<!-- summary --><!-- /summary -->\n## 1. One, two\nBy hand.\n<!-- 01-tiny --><!-- /01-tiny -->\n"
PAGE += "## 2. Three\n<!-- 02-lost --><!-- /02-lost -->\n"


def test_the_pages_say_what_the_files_beside_them_say() -> None:
    for path, text in pages(SITE).items():
        assert path.read_text() == text, f"{path.name} is stale: run `make evidence ARGS=--page`"


@pytest.mark.parametrize("name", MEASURED)
def test_what_was_measured_is_the_sweep_as_it_is(name: str) -> None:
    assert Record.load(SITE.record(name)).asked == asked(read_sweep(SITE.sweeps[name]))
    for path in (SITE.plot(name), SITE.sheet(name)):
        assert path.stat().st_size <= LARGEST, path


@pytest.mark.parametrize("name", SITE.sweeps)
def test_a_sweep_is_called_as_its_file_is(name: str) -> None:
    assert read_sweep(SITE.sweeps[name]).name == name


@pytest.fixture
def site(tmp_path: Path, sweep: Sweep) -> Site:
    """A claim with a point that begins from pictures, one whose model is not there, and two methods side by side."""
    tiny = sweep.model_dump(mode="json", exclude_defaults=True)
    steps = {"sampler": {"type": "ddim", "steps": 3}, "guidance": {"schedule": {"type": "constant"}}}
    inverted = {"name": "inverted", "source": {"image": "$scene"}, "weight": [1, 8], **steps}
    claim = {
        "paper": "Who 2022, arXiv:2207.12598",
        "says": "It is so.",
        "expect": [
            {"metric": "evaluations", "of": "cfg", "trend": "rising"},
            {"metric": "psnr", "of": "inverted", "trend": "rising"},
        ],
    }
    first = {"name": "01-tiny", "points": [*tiny["points"], inverted], "claim": claim, "show": ["cfg w=3"]}
    lost = {"name": "02-lost", "models": {"p05": ".cache/variants/none"}, "claim": claim}
    written: dict[str, dict[str, Any]] = {
        "claims/01-tiny": first,
        "claims/02-lost": lost,
        "methods": {"name": "methods"},
    }
    for name, changed in written.items():
        path = tmp_path / "evaluation" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(tiny | changed))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "evidence.md").write_text(PAGE)
    (tmp_path / "docs" / "choosing.md").write_text("<!-- methods --><!-- /methods -->\n")
    return Site(tmp_path)


def test_nothing_measured_is_said(site: Site) -> None:
    assert main(["--page"], site) == 0
    page = site.evidence.read_text()
    assert "| [1. One, two](#1-one-two) | `01-tiny` | Who 2022 | not measured yet | |" in page
    assert "> It is so.\n>\n> Who 2022, [arXiv:2207.12598](https://arxiv.org/abs/2207.12598)" in page
    assert "Not measured yet: `python -m evaluation.evidence 01-tiny --size full`." in page
    assert "Not measured yet: `python -m training.variants` for `p05`, then `python -m evaluation.evidence" in page
    assert "By hand." in page


@pytest.mark.usefixtures("few_resamples")
def test_measuring_writes_numbers_pictures_and_pages(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--size", "quick", "--cache", str(site.root / "cache")], site) == 1
    told = "02-lost: models: p05: .cache/variants/none is missing: `python -m training.variants` trains it"
    assert told in capsys.readouterr().err
    tree = json.loads(site.record("01-tiny").read_text())
    assert tree["points"]["cfg w=3"]["evaluations"] == [6.0, 6.0, 6.0]
    assert "psnr" in tree["points"]["inverted w=1"] and "psnr" not in tree["points"]["cfg w=3"]
    assert tree["points"]["inverted w=1"]["evaluations"][0] == 6.0, "up to the noise, and down again"
    assert (
        tree["ends"]["autoencoder"]["psnr"][0]
        > tree["points"]["inverted w=1"]["psnr"][0]
        > tree["ends"]["noise"]["psnr"][0]
    )
    assert tree["points"]["inverted w=1"]["psnr"][0] > tree["points"]["inverted w=8"]["psnr"][0]
    assert [one["found"] == "holds" for one in tree["findings"]] == [True, False]
    page, choosing = site.evidence.read_text(), site.choosing.read_text()
    assert "| `01-tiny` | Who 2022 | **mixed** (1 of 2 hold) | 8 |" in page
    assert "| evaluations is rising from cfg w=1 to cfg w=3 | +3 (+3 to +3) | holds |" in page
    assert "| point | FID | Inception Score | precision | recall | PSNR, dB | evaluations |" in page
    assert "![methods: plot](pictures/evidence/methods.png)" in choosing
    for name in ("01-tiny", "methods"):
        for path in (site.plot(name), site.sheet(name)):
            with Image.open(path) as image:
                assert min(image.size) > 100
    assert not site.record("02-lost").exists()
    assert main(["--page"], site) == 0
    assert (site.evidence.read_text(), site.choosing.read_text()) == (page, choosing)


def test_points_that_no_plot_can_show_are_refused(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    path = site.sweeps["methods"]
    path.write_text(yaml.safe_dump({"name": "methods", "points": [{"name": "cfg"}]}))
    assert main(["methods"], site) == 1
    assert "methods: baseline = None: without a claim" in capsys.readouterr().err


def record(**numbers: Any) -> Record:
    told = {"asked": {}, "size": "quick", "images": 8, "reference": 40, "seconds": 3, "made": {}}
    return Record(**told | {"points": {}, "ends": {}, "findings": []} | numbers)  # type: ignore[arg-type]


def test_a_record_has_no_nan_in_its_file_and_numbers_in_one_line(tmp_path: Path) -> None:
    record(points={"a [b]": {"fid": Estimate(1 / 3, nan, 2.0, 8)}}).save(tmp_path / "a.json")
    assert '"fid": [ 0.333333, null, 2.0 ]' in (tmp_path / "a.json").read_text()
    again = Record.load(tmp_path / "a.json").points["a [b]"]["fid"]
    assert (again.value, isnan(again.low), again.high, again.count) == (0.333333, True, 2.0, 8)


def test_images_of_one_request_took_their_time_once() -> None:
    def taken(*requests: dict[str, Any]) -> float:
        took = {"seconds": Replicates(0.5, np.full(4, 0.5))}
        return sampling_seconds([Measured("a", took, 8, asked=request) for request in requests])

    assert taken({"model": "a"}, {"model": "a"}) == 4
    assert taken({"model": "a"}, {"model": "b"}) == 8


def test_prose_and_what_is_shown_ask_for_no_new_measurement(sweep: Sweep) -> None:
    assert asked(sweep.model_copy(update={"about": "Other words.", "show": ["cfg w=1"]})) == asked(sweep)
    assert asked(sweep.model_copy(update={"seed": 3})) != asked(sweep)


def test_columns_are_what_the_claim_and_the_plot_are_about(site: Site) -> None:
    tiny = read_sweep(site.sweeps["01-tiny"])
    assert columns(tiny) == ["fid", "inception_score", "precision", "recall", "psnr", "evaluations"]
    plotted = Sweep.model_validate(tiny.model_dump() | {"plot": {"x": "fid", "y": "entropy_size"}})
    assert columns(plotted) == ["fid", "psnr", "evaluations", "entropy_size"]


def test_a_sweep_without_a_place_on_the_page_is_refused(site: Site) -> None:
    with pytest.raises(ValueError, match="no markers <!-- 03-new --> and <!-- /03-new -->"):
        filled(PAGE, "03-new", "")
    site.evidence.write_text(PAGE.replace("## 2. Three\n", ""))
    with pytest.raises(ValueError, match="no section `## 2"):
        pages(site)


def test_an_unknown_name_is_refused_with_those_there_are(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["01-tinny"], site)
    assert "'01-tinny' is no sweep; there are 01-tiny, 02-lost, methods" in capsys.readouterr().err


def test_anchors_are_those_that_markdown_gives() -> None:
    assert slug("8. CFG++: small lambdas, and inversion") == "8-cfg-small-lambdas-and-inversion"


@pytest.mark.parametrize(
    ("seconds", "said"), [(4, "4.0 seconds"), (80, "80 seconds"), (600, "10 minutes"), (9000, "2.5 hours")]
)
def test_a_time_is_told_in_a_unit_that_suits(seconds: float, said: str) -> None:
    assert spent(seconds) == said
