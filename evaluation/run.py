"""One run of a sweep: models loaded, images sampled or found, everything measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from evaluation.features import Extractor
from evaluation.identity import fingerprint
from evaluation.measures import Measuring
from evaluation.point import Point, points
from evaluation.questions import Question, drawn_as, judged, questions
from evaluation.reference import Pixels, ends, reference
from evaluation.results import Measured, Results
from evaluation.samples import Samples
from evaluation.sampling import Chunk, Sampling
from evaluation.shelf import Shelf
from evaluation.signs import SCENE, asks
from evaluation.sweep import Size, Sweep, SweepProblems
from guidance.models.base import Model, to_bytes
from guidance.picture import pixels
from jobs.settings import Settings
from jobs.version import VERSION
from workers.allocator import keep_memory
from workers.budget import row_budget
from workers.loading import COMPONENTS, execution, folder_of, load, pick_device, pick_dtype

SHOWN = 10
"""Images of each point on the contact sheet."""
SIDE = 64
"""Pixels of what the checker and the classifier look at."""


@dataclass(frozen=True, eq=False)
class Run:
    """Results, and the first pictures (SHOWN, H, W, 3) of each point with their captions."""

    results: Results
    shown: dict[str, Pixels]
    captions: list[str]
    sweep: Sweep


def run(sweep: Sweep, size: Size, cache: Path, settings: Settings | None = None) -> Run:
    """Sample what `cache` has not, and measure all points. Stopped at any moment, it goes on from there.

    Raises SweepProblems for a sweep that these models cannot run, ModelError for one that cannot be loaded,
    SamplingFailed where the engine fails.
    """
    settings, shelf = settings or Settings(), Shelf(cache)
    keep_memory()
    folders = {id: folder_of(source) for id, source in sweep.models.items()}
    models = loaded(sweep, settings)
    extractor = Extractor(folder_of(sweep.classifier) if sweep.classifier else next(iter(folders.values())), shelf)
    all_points = points(sweep, {id: model.info for id, model in models.items()})
    asked = questions(sweep, sweep.images.at(size))
    computing = arithmetic(sweep, settings)
    sampling = Sampling(models, folders, shelf, row_budget(settings, models.values()), computing)
    chunks = {point.name: sampling.chunks(point, asked) for point in all_points}
    sample(sampling, chunks, f"{sweep.name}, {size}")
    made = described(sweep, size, folders, extractor, computing)
    measuring = Measuring(reference(sweep.reference.at(size), *drawn_as(sweep), extractor, shelf), extractor, shelf)
    found, shown = dict[str, Measured](), dict[str, Pixels]()
    for point in tqdm(all_points, desc="measuring", unit="point"):
        samples = sampling.read(chunks[point.name])
        found[point.name] = measured(point, samples, asked, measuring, begun_from(chunks[point.name]))
        shown[point.name] = samples.pixels[:SHOWN]
    first, folder = next(iter(models.values())), next(iter(folders.values()))
    real = ends(asked, first, fingerprint(folder, ("vae",)), shelf)
    begun = real["real"].pixels if asks([curve.source for curve in sweep.points], SCENE) else None
    scale = {name: end(name, samples, asked, sweep, measuring, begun) for name, samples in real.items()}
    shown = {name: shown[name] for name in sweep.show or shown}
    if not isinstance(sweep.captions, list):  # else they are of other captions
        shown = {"real": real["real"].pixels[:SHOWN]} | shown
    results = Results(sweep.name, sweep.about, found, scale, sweep.baseline, made)
    return Run(results, shown, [question.caption for question in asked[:SHOWN]], sweep)


def loaded(sweep: Sweep, settings: Settings) -> dict[str, Model]:
    """Every model of a sweep. Raises ModelError, or SweepProblems for one whose pictures cannot be judged."""
    device = pick_device(settings.device)
    models = {
        id: load(id, source, device, pick_dtype(settings.dtype, device, source), execution(settings))
        for id, source in sweep.models.items()
    }
    for id, model in models.items():
        info = model.info
        if info.condition != "text" or (info.width, info.height) != (SIDE, SIDE):
            what = f"{info.width} x {info.height} pictures of a {info.condition}"
            raise SweepProblems([f"models: {id} makes {what}: {SIDE} x {SIDE} pictures of a text are measured"])
    return models


def arithmetic(sweep: Sweep, settings: Settings) -> str:
    """On what, and in which precision, the networks compute: "cpu float32"."""
    device = pick_device(settings.device)
    names = {str(pick_dtype(settings.dtype, device, source)).removeprefix("torch.") for source in sweep.models.values()}
    return " ".join([device.type, *sorted(names)])


def sample(sampling: Sampling, chunks: Mapping[str, Sequence[Chunk]], title: str) -> None:
    """What is not on the shelf, with a bar: in the order of the images, so that all points grow together."""
    depth = max(map(len, chunks.values()))
    ordered = [row[place] for place in range(depth) for row in chunks.values() if place < len(row)]
    missing = sampling.missing(ordered)
    total = sum(len(chunk.requests) for chunk in {chunk.key: chunk for chunk in ordered}.values())
    left = sum(len(chunk.requests) for chunk in missing)
    with tqdm(total=total, initial=total - left, desc=f"{title}: sampling", unit="image", smoothing=0.05) as bar:

        def landed(evaluations: int) -> None:
            bar.update()

        sampling.make(missing, landed)


def begun_from(chunks: Sequence[Chunk]) -> Pixels | None:
    """The pictures that a point's images began from, if they did not begin from noise."""
    begun = [request.source.image for chunk in chunks for request in chunk.requests if request.source is not None]
    return np.stack([to_bytes((pixels(url) + 1) / 2) for url in begun]) if begun else None


def measured(
    point: Point, samples: Samples, asked: Sequence[Question], measuring: Measuring, begun: Pixels | None
) -> Measured:
    return Measured(
        point.name,
        measuring.measured(samples, judged(asked, point.judged_by), begun),
        len(samples),
        point.curve,
        point.axis,
        point.x,
        int(samples.lost.sum()),
        point.body,
    )


def end(
    name: str, samples: Samples, asked: Sequence[Question], sweep: Sweep, measuring: Measuring, begun: Pixels | None
) -> Measured:
    """One end of the scale; captions that were listed are of no scene."""
    claims = [None if isinstance(sweep.captions, list) else question.claims for question in asked]
    return Measured(name, measuring.measured(samples, claims, begun), len(samples))


def described(
    sweep: Sweep, size: Size, folders: Mapping[str, Path], extractor: Extractor, computing: str
) -> dict[str, Any]:
    """With what it was made."""
    return {
        "size": size,
        "images": sweep.images.at(size),
        "reference": sweep.reference.at(size),
        "sweep": sweep.model_dump(mode="json"),
        "models": {id: fingerprint(folder, COMPONENTS)[:12] for id, folder in folders.items()},
        "classifier": extractor.identity[:12],
        "device": computing,
        "guidepost": VERSION,
        "torch": torch.__version__,
    }
