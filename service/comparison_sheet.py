"""A comparison's images on one contact sheet."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.artifacts import ArtifactStore, image_key
from jobs.comparison import Comparison
from jobs.record import Record, Status
from jobs.request import GenerationRequest
from service.contact_sheet import Sheet, Tile
from service.problems import Refusal
from service.routes.images import expired


def sheet(comparison: Comparison, artifacts: ArtifactStore) -> Sheet:
    """Rows are specs and columns seeds where there are several, else the axes of a grid of two, else as they fit.

    Refuses with 410 when an image is no longer kept.
    """
    request = comparison.records[0].request
    assert request.width and request.height
    tiles = [tile for record in comparison.records for tile in _tiles(record, artifacts)]
    rows, columns = _headers(comparison, request)
    if not rows:
        labelled = zip(tiles, comparison.labels, strict=True)
        tiles = [Tile(tile.picture, tile.note, label) for tile, label in labelled]
    return Sheet(_title(request), _subtitle(comparison), tiles, (request.width, request.height), rows, columns)


def _headers(comparison: Comparison, request: GenerationRequest) -> tuple[Sequence[str], Sequence[str]]:
    """Of the rows and of the columns; none where each tile says for itself what it is."""
    if request.n > 1:
        assert request.seed is not None
        return comparison.labels, [f"seed {request.seed + index}" for index in range(request.n)]
    several = [axis for axis in comparison.axes if len(axis.values) > 1]
    if len(several) != 2:
        return (), ()
    down, over = several
    return [f"{down.name}={value}" for value in down.values], [f"{over.name}={value}" for value in over.values]


def _title(request: GenerationRequest) -> str:
    return request.prompt if request.prompt is not None else f"label {request.label}"


def _subtitle(comparison: Comparison) -> str:
    """What all have in common."""
    requests = [record.request for record in comparison.records]
    first = requests[0]
    parts = [first.model, f"{first.width} × {first.height}"]
    if first.n == 1:  # else each column has its own
        parts.append(f"seed {first.seed}")
    if len({request.sampler for request in requests}) == 1:
        parts.append(f"{first.sampler.type}, {first.sampler.steps} steps")
    if first.negative_prompt and len({request.negative_prompt for request in requests}) == 1:
        parts.append(f"without: {first.negative_prompt}")
    return " · ".join(parts)


def _tiles(record: Record, artifacts: ArtifactStore) -> list[Tile]:
    if record.status != Status.SUCCEEDED:
        return [Tile(None, _note(record))] * record.request.n
    tiles = []
    for image in record.images:
        data = artifacts.get(image_key(record.id, record.attempts, image.index, image.format))
        if data is None:
            raise expired(f"image {image.index} of generation {record.id}")
        tiles.append(Tile(data))
    return tiles


def _note(record: Record) -> str:
    """Why it has no image."""
    if record.status == Status.RUNNING:
        return f"running: {record.nfe_done} of {record.nfe_total} evaluations"
    reason = record.error.detail if record.error else record.status_reason
    return f"{record.status}: {reason}" if reason else str(record.status)


def refuse_empty(comparison: Comparison) -> None:
    """A refusal with 409 when no generation has succeeded yet, with 404 when none will."""
    if any(record.status == Status.SUCCEEDED for record in comparison.records):
        return
    if comparison.terminal:
        raise Refusal(404, "not_found", f"comparison {comparison.id} {comparison.status}: it has no images")
    raise Refusal(409, "not_ready", f"comparison {comparison.id} is {comparison.status}: it has no images yet")
