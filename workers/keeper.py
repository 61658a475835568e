"""Where the checkpoints of an attempt are kept, and what the next attempt goes on from."""

from __future__ import annotations

import hashlib
import logging

import diffusers
import torch

from guidance.checkpoint import Packed, Unreadable
from guidance.models.base import Model
from jobs.artifacts import ArtifactStore, StorageAway, checkpoint_key
from jobs.attempt import Attempt
from jobs.connection import AWAY
from jobs.request import GenerationRequest
from jobs.store import JobStore
from jobs.version import VERSION
from workers.checkpoint import Checkpoint

log = logging.getLogger(__name__)


class Keeper:
    """Keeps the latest checkpoint of one attempt in the artifact store, and a note of it in the record.

    All of it is optional: what cannot be kept or read is logged, and the attempt goes on, or begins anew.
    """

    def __init__(self, artifacts: ArtifactStore, store: JobStore, attempt: Attempt, model: Model) -> None:
        self.artifacts, self.store, self.attempt = artifacts, store, attempt
        self.label = label(attempt.request, model)
        self._noted = attempt.record.checkpoint
        """The attempt whose checkpoint the record names."""

    def latest(self) -> Packed | None:
        """What an earlier attempt has left, if it is of this request and this code."""
        if self._noted is None:
            return None
        try:
            data = self.artifacts.get(self._key(self._noted))
            return None if data is None else Packed.from_bytes(data, self.label)
        except (StorageAway, Unreadable) as error:
            log.warning("generation begins anew, its checkpoint cannot be used: %s", error)
            return None

    def keep(self, checkpoint: Checkpoint) -> bool:
        """Write it down in the place of the one before. False: stop, the attempt is over."""
        try:
            self.artifacts.put(self._key(self.attempt.number), checkpoint.states.to_bytes(self.label))
            return self._noted == self.attempt.number or self._note()
        except AWAY:
            raise
        except StorageAway as error:
            log.warning("a checkpoint cannot be kept: %s", error)
            return True
        except Exception:  # a fault of ours, which costs the generation nothing
            log.exception("a checkpoint could not be written")
            return True
        finally:
            checkpoint.taken.set()

    def forget(self) -> None:
        """Remove it: the generation has ended."""
        try:
            if self._noted is not None:
                self.artifacts.remove(self._key(self._noted))
        except StorageAway as error:
            log.warning("a checkpoint cannot be removed yet: %s", error)

    def _note(self) -> bool:
        """Once in an attempt. The earlier attempt's is not needed any more, and removed."""
        if not self.store.note(self.attempt.id, self.attempt.token, checkpoint=self.attempt.number):
            return False
        before, self._noted = self._noted, self.attempt.number
        if before is not None:
            self.artifacts.remove(self._key(before))
        return True

    def _key(self, attempt: int) -> str:
        return checkpoint_key(self.attempt.id, attempt)


def label(request: GenerationRequest, model: Model) -> str:
    """What a checkpoint is one of: one with the same label may be gone on from, and the bits are the same."""
    code = VERSION, torch.__version__, diffusers.__version__
    info = model.info.model_dump_json(exclude={"capabilities"})  # a set, which every process puts in its own order
    where = model.device.type, str(model.dtype), info
    return hashlib.sha256("\n".join((*code, *where, request.model_dump_json())).encode()).hexdigest()
