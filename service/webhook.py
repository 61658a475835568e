"""The message that a webhook carries: what it says, and the headers of Standard Webhooks that vouch for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook as Signer

from jobs.record import Record
from jobs.version import VERSION
from service.job import render
from service.schemas import Generation, WebhookPayload

LONGEST_TEXT = 8192
"""Characters of a text in a message. Only pictures of the request are longer."""


def payload(record: Record, public_url: str | None = None) -> str:
    """The body: the same at every attempt, since a generation that has ended never changes.

    URLs begin with `public_url` where that is known, and are paths otherwise. Pictures of the request are left out.
    """
    job = render(record).model_copy(update={"webhook": None})  # how its delivery stands is not for the receiver
    data = _shortened(job.model_dump(mode="json"))
    if public_url:
        _lead_to(data, public_url.rstrip("/"))
    assert record.finished_at is not None
    message = WebhookPayload(
        type=f"generation.{record.status}", timestamp=record.finished_at, data=Generation.model_validate(data)
    )
    return message.model_dump_json()


def headers(record: Record, body: str, secrets: Sequence[str], now: datetime | None = None) -> dict[str, str]:
    """With a signature for each of the secrets. The id is the same at every attempt: receivers tell repeats by it."""
    id, now = f"{record.id}-done", now or datetime.now(UTC)
    return {
        "Content-Type": "application/json",
        "User-Agent": f"Guidepost/{VERSION}",
        "webhook-id": id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Signer(secret).sign(id, now, body) for secret in secrets),
    }


def _shortened(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _shortened(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_shortened(value) for value in node]
    if isinstance(node, str) and len(node) > LONGEST_TEXT:
        return f"{node[:32]}... {len(node)} characters, left out of the message"
    return node


def _lead_to(job: dict[str, Any], base: str) -> None:
    for image in job["images"]:
        image["url"] = base + image["url"]
    if job["diagnostics"]:
        job["diagnostics"]["url"] = base + job["diagnostics"]["url"]
    job["links"] = {name: base + path for name, path in job["links"].items()}
