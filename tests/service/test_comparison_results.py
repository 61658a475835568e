"""What a comparison is for: the contact sheet, and the diagnostics side by side."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from jobs import keys
from jobs.artifacts import prefix, sheet_key
from jobs.housekeeping import Housekeeper
from jobs.settings import Settings
from service.plots import Line, plot_lines
from tests.service.stand_in import StandIn, picture
from tests.service.test_comparisons import compare, run, weights
from tests.service.test_problems import problem

CSV, PNG, SVG, WEBP = "text/csv", "image/png", "image/svg+xml", "image/webp"


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def colour(seed: int) -> tuple[int, int, int]:
    found = opened(picture(seed)).getpixel((0, 0))
    assert isinstance(found, tuple)
    red, green, blue = found
    return int(red), int(green), int(blue)


def colours(image: Image.Image) -> dict[Any, int]:
    return {shade: count for count, shade in image.getcolors(1 << 24) or []}


@pytest.mark.parametrize(("accept", "format"), [(PNG, "PNG"), (WEBP, "WEBP"), ("image/jpeg", "JPEG"), ("*/*", "PNG")])
def test_the_sheet_comes_in_every_format(client: TestClient, worker: StandIn, accept: str, format: str) -> None:
    comparison = compare(client)
    run(worker, comparison)
    response = client.get(comparison["links"]["image"], headers={"Accept": accept})
    assert response.headers["Content-Type"] == f"image/{format.lower()}"
    assert Image.open(io.BytesIO(response.content)).format == format


def test_rows_are_specs_and_columns_are_seeds(client: TestClient, worker: StandIn) -> None:
    comparison = compare(client, n=3, specs=weights(1, 5))
    run(worker, comparison)
    found = colours(opened(client.get(comparison["links"]["image"]).content))
    tile = 192 * 192  # 64 pixels, three times as large
    assert [found[colour(seed)] for seed in (7, 8, 9)] == [2 * tile] * 3


def test_who_has_no_image_has_a_grey_tile(client: TestClient, worker: StandIn) -> None:
    comparison = compare(client, specs=weights(1, 2, 3))
    first, second, third = (generation["id"] for generation in comparison["generations"])
    worker.run(first)
    worker.fail(second, worker.start(second))
    response = client.get(comparison["links"]["image"])
    early = colours(opened(response.content))
    assert early[(0xE5, 0xE7, 0xEB)] > 192 * 192
    assert response.headers["Cache-Control"] == "private, no-cache"
    worker.run(third)
    again = client.get(comparison["links"]["image"], headers={"If-None-Match": response.headers["ETag"]})
    assert again.status_code == 200 and "immutable" in again.headers["Cache-Control"]
    assert colours(opened(again.content))[colour(7)] == 2 * early[colour(7)]


def test_a_sheet_that_is_whole_is_drawn_once(client: TestClient, worker: StandIn) -> None:
    comparison = compare(client)
    run(worker, comparison)
    first = client.get(comparison["links"]["image"])
    for generation in comparison["generations"]:
        worker.artifacts.delete(prefix(generation["id"]))
    second = client.get(comparison["links"]["image"])
    assert (second.content, second.headers["ETag"]) == (first.content, first.headers["ETag"])
    known = client.get(comparison["links"]["image"], headers={"If-None-Match": first.headers["ETag"]})
    assert (known.status_code, known.content) == (304, b"")


def test_a_sheet_goes_when_the_images_go(client: TestClient, worker: StandIn, settings: Settings) -> None:
    comparison = compare(client)
    run(worker, comparison)
    client.get(comparison["links"]["image"])
    assert worker.artifacts.get(sheet_key(comparison["id"], "png"))
    worker.store.redis.zadd(keys.STORED, {comparison["id"]: 0}, xx=True)  # as if it were time
    Housekeeper(settings, worker.artifacts).remove_expired()
    assert worker.artifacts.get(sheet_key(comparison["id"], "png")) is None


def test_410_when_an_image_is_gone(client: TestClient, worker: StandIn) -> None:
    comparison = compare(client)
    run(worker, comparison)
    worker.artifacts.delete(prefix(comparison["generations"][1]["id"]))
    for link in ("image", "diagnostics"):
        problem(client.get(comparison["links"][link]), 410, "expired")


def test_before_and_without_any_success_there_is_nothing(client: TestClient, worker: StandIn) -> None:
    comparison = compare(client)
    for link in ("image", "diagnostics"):
        problem(client.get(comparison["links"][link]), 409, "not_ready")
    client.post(comparison["links"]["cancel"])
    problem(client.get(comparison["links"]["image"]), 404, "not_found")
    problem(client.get(comparison["links"]["diagnostics"]), 404, "not_recorded")


def test_other_formats_are_not_to_be_had(client: TestClient) -> None:
    comparison = compare(client)
    for link in ("image", "diagnostics"):
        response = client.get(comparison["links"][link], headers={"Accept": "text/html"})
        problem(response, 406, "not_acceptable")


@pytest.fixture
def measured(client: TestClient, worker: StandIn) -> dict[str, Any]:
    """A comparison of two specs, of which the third failed."""
    specs = [{"label": 'a "quoted", label'}, *weights(1, 2)]
    comparison = compare(client, n=2, specs=specs)
    for generation in comparison["generations"][:2]:
        worker.run(generation["id"])
    failed = comparison["generations"][2]["id"]
    worker.fail(failed, worker.start(failed))
    return comparison


def test_columns_stand_side_by_side(client: TestClient, measured: dict[str, Any]) -> None:
    document = client.get(measured["links"]["diagnostics"]).json()
    series = [(one["label"], one["index"], one["seed"], one["nfe"]) for one in document["series"]]
    assert series == [(label, i, 7 + i, 4) for label in ('a "quoted", label', "weight=1") for i in (0, 1)]
    assert document["columns"]["step"] == [[0, 1]] * 4
    assert document["columns"]["cosine"] == [[None, 0.5]] * 4
    assert set(document["units"]) == set(document["columns"])
    [missing] = document["missing"]
    assert (missing["label"], missing["reason"]) == ("weight=2", "non_finite")


def test_the_table_says_what_the_columns_say(client: TestClient, measured: dict[str, Any]) -> None:
    document = client.get(measured["links"]["diagnostics"]).json()
    response = client.get(measured["links"]["diagnostics"], headers={"Accept": CSV})
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(response.text, newline="")))
    assert len(rows) == 4 * 2
    for place, series in enumerate(document["series"]):
        mine = rows[2 * place : 2 * place + 2]
        for name in ("label", "generation", "index", "seed"):
            assert {row[name] for row in mine} == {str(series[name])}
        for name, column in document["columns"].items():
            assert [float(row[name]) if row[name] else None for row in mine] == column[place]


def test_the_plot_has_a_line_for_each_spec(client: TestClient, measured: dict[str, Any]) -> None:
    response = client.get(measured["links"]["diagnostics"], headers={"Accept": SVG})
    for shown in ("guidance weight", "cosine, cond and uncond", "weight=1", "label"):
        assert shown in response.text
    assert "weight=2" not in response.text
    data = client.get(measured["links"]["diagnostics"], headers={"Accept": PNG}).content
    assert data.startswith(b"\x89PNG")


def test_summaries_have_no_steps_to_show(client: TestClient, worker: StandIn) -> None:
    comparison = compare(client, diagnostics="summary")
    run(worker, comparison)
    document = client.get(comparison["links"]["diagnostics"]).json()
    assert [one["summary"] for one in document["series"]] == [{"nfe": 4}] * 2
    assert document["columns"] == {}
    for accept in (CSV, PNG):
        response = client.get(comparison["links"]["diagnostics"], headers={"Accept": accept})
        problem(response, 404, "not_recorded")


def test_thirty_two_lines_all_look_different_and_are_all_named() -> None:
    lines = [Line({"step": [0, 1], "weight": [i, i]}, f"_label $x_{i}$", i) for i in range(32)]
    assert len({str(line.look) for line in lines}) == 32
    text = plot_lines(lines, "svg").decode()
    assert len(set(re.findall(r"label \$x_(\d+)\$", text))) == 32
