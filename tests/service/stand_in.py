"""Plays the worker's side of a generation, without a model."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from jobs.artifacts import ArtifactStore, diagnostics_key, image_key, picture_key
from jobs.attempt import Attempt
from jobs.encoding import encode
from jobs.record import Failure, Status, StoredImage, Usage
from jobs.store import JobStore

QUEUE, TAKEN = "rq:queue:guidepost", "taken by the stand-in"
STOP = b"stop"


class StandIn:
    """Each method is one thing that a worker does; tests call them in the order they want."""

    def __init__(self, store: JobStore, artifacts: ArtifactStore) -> None:
        self.store = store
        self.artifacts = artifacts

    def start(self, id: str) -> Attempt:
        attempt = self.store.start(id, "worker")
        assert attempt is not None
        return attempt

    def step(self, id: str, attempt: Attempt, step: int) -> None:
        steps = attempt.request.sampler.steps
        assert self.store.progress(id, attempt.token, step=step, steps=steps, nfe_done=2 * step, nfe_total=2 * steps)

    def succeed(self, id: str, attempt: Attempt) -> None:
        request = attempt.request
        assert request.seed is not None
        number, format = attempt.number, request.output.format
        images = [self.keep(id, number, index, request.seed + index, format) for index in range(request.n)]
        if request.diagnostics != "off":
            written = diagnostics(attempt)
            for image in written["images"]:
                for listed in image.get("pictures", ()):
                    key = picture_key(id, attempt.number, image["index"], listed["name"])
                    self.artifacts.put(key, sheet(image["index"]))
            self.artifacts.put(diagnostics_key(id, attempt.number), json.dumps(written).encode())
        usage = Usage(nfe=2 * request.n * request.sampler.steps, mean_batch_rows=2.0)
        summary = {"images": [{"cosine_mean": 0.5}]} if request.diagnostics != "off" else None
        assert self.store.finish(id, attempt.token, Status.SUCCEEDED, images=images, diagnostics=summary, usage=usage)

    def fail(self, id: str, attempt: Attempt) -> None:
        failure = Failure(code="non_finite", detail="image 0 is not finite from step 1 on")
        assert self.store.finish(id, attempt.token, Status.FAILED, reason="non_finite", error=failure)

    def keep(self, id: str, attempt: int, index: int, seed: int, format: str) -> StoredImage:
        data = picture(seed, format)
        self.artifacts.put(image_key(id, attempt, index, format), data)
        sha256 = hashlib.sha256(data).hexdigest()
        return StoredImage(index=index, seed=seed, sha256=sha256, width=64, height=64, format=format)

    def run(self, id: str) -> None:
        """The whole of a generation; nothing if it does not wait, as a worker does."""
        attempt = self.store.start(id, "worker")
        if attempt is None:
            return
        for step in range(1, attempt.request.sampler.steps + 1):
            self.step(id, attempt, step)
        self.succeed(id, attempt)

    @contextmanager
    def at_work(self, act: Callable[[str], None] | None = None) -> Iterator[None]:
        """A thread that takes generations from the queue and acts on each; by default it runs them."""
        thread = threading.Thread(target=self._work, args=(act or self.run,))
        thread.start()
        try:
            yield
        finally:
            self.store.redis.rpush(QUEUE, STOP)
            thread.join(30)
            assert not thread.is_alive()

    def _work(self, act: Callable[[str], None]) -> None:
        while True:
            job = self.store.redis.blmove(QUEUE, TAKEN, 4, "LEFT", "RIGHT")
            if job == STOP:
                return
            if job is not None:
                assert isinstance(job, bytes)
                if id := job.decode().rpartition("-")[0]:
                    act(id)


def picture(seed: int, format: str = "png") -> bytes:
    """The file of an image: a grey, which says how it was made."""
    return encode(np.full((64, 64, 3), seed % 256, np.uint8), format, f"seed {seed}")


def sheet(index: int) -> bytes:
    """The bytes of the one picture that is left of an image."""
    return f"segments of image {index}".encode()


def diagnostics(attempt: Attempt) -> dict[str, Any]:
    steps = attempt.request.sampler.steps
    columns = {
        "step": list(range(steps)),
        "call": [0] * steps,
        "sigma": [1.0 / (step + 1) for step in range(steps)],
        "weight": [3.0] * steps,
        "nfe": [2] * steps,
        "cosine": [None, *([0.5] * (steps - 1))],
    }
    images = [
        {"index": index, "seed": (attempt.request.seed or 0) + index, "summary": {"nfe": 2 * steps}}
        | ({"columns": columns, "pictures": [listed(index)]} if attempt.request.diagnostics == "full" else {})
        for index in range(attempt.request.n)
    ]
    return {"images": images, "units": dict.fromkeys(columns, "a unit")}


def listed(index: int) -> dict[str, Any]:
    sha256 = hashlib.sha256(sheet(index)).hexdigest()
    return {"name": "segments", "meaning": "which", "steps": [0, 1, 2], "sha256": sha256, "width": 9, "height": 8}
