"""A generation that loses an image on the way, from its place in line to its record."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from guidance.protocol import Branch
from jobs.artifacts import ArtifactStore, checkpoint_key, image_key
from jobs.record import Status
from jobs.settings import Settings
from jobs.store import JobStore
from tests.workers.conftest import Failing, MakeTask
from workers.perform import perform
from workers.runtime import Runtime

pytestmark = pytest.mark.redis


def test_the_others_are_kept_and_the_error_names_it(
    settings: Settings, store: JobStore, model: Failing, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(branches: Sequence[Branch], outputs: list[Tensor]) -> None:
        if len(outputs) == 6:  # of three images, all there still: both rows of the second
            outputs[2].fill_(torch.nan)

    model.fault = fault
    often = settings.model_copy(update={"checkpoint_seconds": 1e-9})
    runtime = Runtime(often, {"small": model})
    monkeypatch.setattr(Runtime, "current", runtime, raising=False)
    id = store.create(make_task(n=3, seed=5, diagnostics="off").request).id
    thread = runtime.engine.start()
    perform()
    runtime.engine.stop()
    thread.join()
    record = store.get(id)
    assert record is not None and record.error is not None
    assert (record.status, record.error.code, record.error.retryable) == (Status.FAILED, "non_finite", False)
    assert record.error.detail == "image 1 (seed 6) became NaN or infinite at step 0"
    assert [(image.index, image.seed) for image in record.images] == [(0, 5), (2, 7)]
    artifacts = ArtifactStore(settings.artifacts)
    for image in record.images:
        data = artifacts.get(image_key(id, 1, image.index))
        assert data is not None and hashlib.sha256(data).hexdigest() == image.sha256
    assert (record.checkpoint, artifacts.get(checkpoint_key(id, 1))) == (None, None)
