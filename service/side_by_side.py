"""The diagnostics of a comparison's generations side by side: as columns, as a long table, as lines to draw."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from jobs.comparison import Comparison
from jobs.record import Record, Status
from service.comparison_schemas import ComparedDiagnostics, ComparedSeries, MissingSeries
from service.gateway import Gateway
from service.problems import Refusal
from service.routes.diagnostics import stored_document

if TYPE_CHECKING:
    from service.plots import Line

WHOSE = ("label", "generation", "index", "seed")
"""The first columns of the long table; the others are quantities."""


def side_by_side(gateway: Gateway, comparison: Comparison) -> ComparedDiagnostics:
    """What has been measured of those that have ended; or a refusal that says why there is nothing yet."""
    pairs = list(zip(comparison.labels, comparison.records, strict=True))
    measured = [(label, record) for label, record in pairs if record.status == Status.SUCCEEDED]
    if not measured and not comparison.terminal:
        detail = f"comparison {comparison.id} is {comparison.status}: nothing has been measured yet"
        raise Refusal(409, "not_ready", detail)
    if not measured:
        raise Refusal(404, "not_recorded", f"comparison {comparison.id} has none: it {comparison.status}")
    documents = [(label, record, stored_document(gateway, record)) for label, record in measured]
    images = [(label, record, image) for label, record, document in documents for image in document["images"]]
    names = dict.fromkeys(name for _, _, image in images for name in image.get("columns", ()))
    return ComparedDiagnostics(
        series=[_series(*image) for image in images],
        columns={name: [image.get("columns", {}).get(name) for _, _, image in images] for name in names},
        units={name: unit for _, _, document in documents for name, unit in document["units"].items()},
        missing=[
            MissingSeries(label=label, generation=record.id, reason=record.status_reason or record.status)
            for label, record in pairs
            if record.status != Status.SUCCEEDED
        ],
    )


def _series(label: str, record: Record, image: dict[str, Any]) -> ComparedSeries:
    return ComparedSeries(
        label=label,
        generation=record.id,
        index=image["index"],
        seed=image["seed"],
        nfe=record.usage.nfe // record.request.n,
        run_seconds=record.run_seconds,
        summary=image["summary"],
    )


def table(document: ComparedDiagnostics) -> str:
    """One row per image and network call, under a header; empty where a quantity is null or not there (RFC 4180)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*WHOSE, *document.columns])
    writer.writerows(_rows(document))
    return text.getvalue()


def _rows(document: ComparedDiagnostics) -> Iterator[list[Any]]:
    for place, series in enumerate(document.series):
        columns = [column[place] for column in document.columns.values()]
        for call in range(max((len(column) for column in columns if column is not None), default=0)):
            whose = [getattr(series, name) for name in WHOSE]
            yield [*whose, *(None if column is None else column[call] for column in columns)]


def lines(document: ComparedDiagnostics) -> list[Line]:
    """One for each image; those of one generation look the same."""
    from service.plots import Line

    places = {label: place for place, label in enumerate(dict.fromkeys(series.label for series in document.series))}
    return [
        Line(
            {name: found for name, column in document.columns.items() if (found := column[i])},
            one.label,
            places[one.label],
        )
        for i, one in enumerate(document.series)
    ]
