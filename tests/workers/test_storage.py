"""A real worker process that keeps its images in an object store, which may not be usable."""

from __future__ import annotations

import hashlib

import pytest

from jobs.artifacts import ArtifactStore, diagnostics_key, image_key
from jobs.provenance import read
from jobs.record import Status
from jobs.settings import Settings
from jobs.store import JobStore
from tests.s3 import make_bucket
from tests.workers.process import BODY, create, ended, running_worker

pytestmark = pytest.mark.redis
URL = "s3://bucket/prefix"


def test_images_reach_the_store_or_the_generation_fails_by_name(
    settings: Settings, store: JobStore, s3: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUIDEPOST_ARTIFACTS_URL", URL)
    with running_worker(settings):
        failed = ended(store, create(store, BODY))
        make_bucket(s3, "bucket")
        kept = ended(store, create(store, BODY))
    assert (failed.status, failed.status_reason, failed.images) == (Status.FAILED, "storage_away", ())
    assert failed.error is not None and failed.error.retryable
    assert "bucket" not in failed.error.detail
    assert kept.status == Status.SUCCEEDED
    artifacts = ArtifactStore(URL)
    for image in kept.images:
        data = artifacts.get(image_key(kept.id, kept.attempts, image.index))
        assert data is not None and hashlib.sha256(data).hexdigest() == image.sha256
        assert read(data)["seed"] == image.seed
    assert artifacts.get(diagnostics_key(kept.id, kept.attempts)) is not None
