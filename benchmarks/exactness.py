"""Bytes by which images from full batches differ from the same images alone, over random specs. Goal: none.

In company: random groups submitted to the engine at once, so that rows of different methods, solvers and steps share
forwards and leave at different times. Alone: `guidance.protocol.drive`, the reference driver.
"""

from __future__ import annotations

from random import Random

import numpy as np
import torch

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table
from benchmarks.specs import random_request
from guidance.models.base import Model, to_bytes
from guidance.protocol import drive
from guidance.registry import UNIONS, members
from guidance.trajectory import Trajectory
from jobs.request import GenerationRequest
from workers.encoder import Encoder
from workers.task import Pixels

LARGEST_GROUP = 12
NONE = Goal(0, at_most=True)


def run(bench: Bench, seed: int = 0) -> Section:
    random, model = Random(seed), bench.model
    requests = [random_request(random, model.info) for _ in range(bench.specs)]
    bar = bench.progress.add_task("exactness", total=2 * len(requests))
    together = []
    for group in _groups(requests, random):
        together += [outcome.images[0].pixels for outcome in bench.ours.run(group)]
        bench.progress.advance(bar, len(group))
    differences = []
    for request, pixels in zip(requests, together, strict=True):
        differences.append(np.abs(pixels.astype(int) - alone(model, request).astype(int)))
        bench.progress.advance(bar)
    return _section(requests, differences)


def alone(model: Model, request: GenerationRequest) -> Pixels:
    """The first image of a resolved request, (H, W, 3) bytes, by the reference driver."""
    assert request.seed is not None and request.width is not None and request.height is not None
    with torch.no_grad():  # as the engine: inference mode would leave losses without gradients
        conditions = Encoder().conditions(model, request)
        shape = model.shape(request.width, request.height)
        trajectory = Trajectory(model, request.guidance, request.sampler, conditions, shape, request.seed, "off")
        return to_bytes(model.decode(drive(trajectory.run(), model.evaluate)))


def _groups(requests: list[GenerationRequest], random: Random) -> list[list[GenerationRequest]]:
    groups, rest = [], list(requests)
    while rest:
        size = random.randint(2, LARGEST_GROUP)
        groups.append(rest[:size])
        rest = rest[size:]
    return groups


def _section(requests: list[GenerationRequest], differences: list[Pixels]) -> Section:
    differing = [int(np.count_nonzero(difference)) for difference in differences]
    largest = max(int(difference.max()) for difference in differences)
    compared = sum(difference.size for difference in differences)
    said = f"bytes that differ of {compared:,}, {len(requests)} random specs, in a batch against alone"
    figures = [
        Figure(said, [sum(differing)], "bytes", NONE, id="R8"),
        Figure("largest difference of a byte", [largest], "of 255", NONE),
    ]
    rows = [
        (request.guidance.model_dump_json(), request.sampler.model_dump_json(), count)
        for request, count in zip(requests, differing, strict=True)
        if count
    ]
    drawn = Table("What the specs have drawn", ("stage", "methods", "of"), _coverage(requests))
    wrong = [Table("Images that differ", ("guidance", "sampler", "bytes"), rows)] if rows else []
    return Section(figures, [drawn, *wrong])


def _coverage(requests: list[GenerationRequest]) -> list[tuple[str, int, int]]:
    """How many methods of each stage were asked for, and how many there are."""
    seen = {stage: {method for request in requests for method in _types(request, stage)} for stage in UNIONS}
    return [(stage, len(found), len(members(stage))) for stage, found in seen.items()]


def _types(request: GenerationRequest, stage: str) -> list[str]:
    if stage == "loss":
        return [loss.type for energy in request.guidance.energy for loss in getattr(energy, "losses", ())]
    part = request.sampler if stage == "sampler" else getattr(request.guidance, stage)
    return [method.type for method in (part if isinstance(part, list) else [part]) if method]
