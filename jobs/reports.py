"""What a worker reports of the attempt that it runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import redis

from jobs import queue
from jobs.record import TERMINAL, Failure, Status, StoredImage, Usage
from jobs.transitions import Transitions


class Reports:
    """A part of the job store. Each report needs the attempt's token, and answers whether the attempt goes on."""

    redis: redis.Redis
    _step: Transitions

    def progress(
        self,
        id: str,
        token: str,
        *,
        step: int,
        steps: int,
        nfe_done: int,
        nfe_total: int,
        seconds_left: tuple[float, float] | None = None,
        **more: Any,
    ) -> bool:
        """Note how far it is, with a `step` event that carries `more` too. False: stop, the attempt is over.

        `seconds_left` until its end: if nothing joins it at its worker, and if that stays as busy as it is. Events
        closer together than `step_event_seconds` are left out, except for the last step's.
        """
        numbers = {"step": step, "steps": steps, "nfe_done": nfe_done, "nfe_total": nfe_total}
        fields = {name: str(number) for name, number in numbers.items()}
        if seconds_left is not None:
            fields |= dict(zip(("seconds_left", "seconds_left_crowded"), map(str, seconds_left), strict=True))
        data = json.dumps({**numbers, **more})
        return bool(self._step("progress", id, token, fields=fields, data=data, last=step >= steps)[0])

    def event(self, id: str, token: str, type: str, data: Mapping[str, Any]) -> bool:
        """Append a `preview` event. False: stop, the attempt is over."""
        return bool(self._step("event", id, token, type=type, data=json.dumps(data))[0])

    def show(self, id: str, token: str, images: Sequence[StoredImage]) -> bool:
        """Let clients see the images stored so far, with an `image` event for the last. False: the attempt is over."""
        fields = {"images": json.dumps([image.model_dump() for image in images])}
        data = json.dumps({"index": images[-1].index, "seed": images[-1].seed})
        return bool(self._step("event", id, token, type="image", data=data, fields=fields)[0])

    def note(self, id: str, token: str, *, checkpoint: int) -> bool:
        """Remember that this attempt has left a checkpoint. False: the attempt is over."""
        return bool(self._step("note", id, token, fields={"checkpoint": str(checkpoint)})[0])

    def finish(
        self,
        id: str,
        token: str,
        status: Status,
        *,
        reason: str | None = None,
        images: Iterable[StoredImage] = (),
        diagnostics: Mapping[str, Any] | None = None,
        usage: Usage | None = None,
        error: Failure | None = None,
        totals: Mapping[str, float] | None = None,
    ) -> bool:
        """End it for good. True: the record says so (also when this very report had arrived before).

        `diagnostics` is the summary that the job shows; the columns belong in the artifact. `totals` are added to
        those of the service (`jobs.totals`), once.
        """
        if status not in TERMINAL:
            raise ValueError(f"status = {status}: only {', '.join(sorted(TERMINAL))} end a generation")
        fields = {"images": json.dumps([image.model_dump() for image in images])}
        if diagnostics is not None:
            fields["diagnostics"] = json.dumps(diagnostics)
        counters = dict(totals or {})
        if usage is not None:
            fields["usage"] = usage.model_dump_json()
            counters["nfe"] = usage.nfe
        if error is not None:
            fields["error"] = error.model_dump_json()
            counters[f"error:{error.code}"] = 1
        return bool(self._step("finish", id, token, status=status, fields=fields, counters=counters, reason=reason)[0])

    def hand_back(self, id: str, token: str, reason: str = "shutdown") -> bool:
        """Put a running generation back in the queue, for another worker. False when the attempt was over already."""
        with self.redis.pipeline(transaction=True) as pipeline:
            # Rung in the same transaction, so that it is heard at once; in vain if the step is refused.
            queue.ring(pipeline, queue.queue(self.redis), f"{id}-{token}")
            self._step("hand_back", id, token, reason=reason, client=pipeline)
            return bool(pipeline.execute()[-1][0])
