"""A generation as the server-sent events that OpenAI's clients read."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from jobs.artifacts import StorageAway
from jobs.connection import AWAY
from jobs.events import follow_events
from jobs.record import Record, Status
from service.gateway import Gateway
from service.openai.errors import details
from service.openai.response import completed, partial, unsuccessful
from service.openai.schemas import ImageCompletedEvent, ImageErrorEvent, ImagePartialEvent
from service.problems import Refusal, redis_away, storage_away
from service.sse import HEARTBEAT
from service.waiting import abandon

log = logging.getLogger("guidepost.service")

Told = ImagePartialEvent | ImageCompletedEvent | ImageErrorEvent


async def image_stream(gateway: Gateway, record: Record, keep: bool) -> AsyncIterator[str]:
    """Previews, then the image or an error. A client that leaves ends the generation, unless it is to `keep`."""
    try:
        async for event in _events(gateway, record):
            yield _message(event) if event else HEARTBEAT
    except Refusal as refusal:
        yield _message(ImageErrorEvent(type="error", error=details(refusal)))
    except AWAY:
        yield _message(ImageErrorEvent(type="error", error=details(redis_away())))
    except StorageAway as error:
        log.error("the image of generation %s: the store of images: %s", record.id, error)
        yield _message(ImageErrorEvent(type="error", error=details(storage_away())))
    finally:
        if not keep:
            await abandon(gateway, record.id)  # without effect once it has ended


async def _events(gateway: Gateway, record: Record) -> AsyncIterator[Told | None]:
    """None stands for silence. Raises a refusal when there is no image."""
    shown = 0
    async for events in follow_events(gateway.blocking, record.id, 0, gateway.settings.heartbeat_seconds):
        for event in events:
            if event.type == "status":
                shown = 0  # another attempt begins from the start
            elif event.type == "preview":
                yield partial(record, shown, event.data)
                shown += 1
        if not events:
            yield None
            if (await run_in_threadpool(gateway.record, record.id)).terminal:
                break  # its events are no longer kept
    record = await run_in_threadpool(gateway.record, record.id)
    if record.status != Status.SUCCEEDED:
        raise unsuccessful(record, {})
    yield await run_in_threadpool(completed, gateway, record)


def _message(event: BaseModel) -> str:
    data = event.model_dump(mode="json")
    return f"event: {data['type']}\ndata: {event.model_dump_json()}\n\n"
