"""What a generation that ended comes to for OpenAI's clients."""

from __future__ import annotations

import base64
import time
from typing import Any

from jobs.artifacts import image_key
from jobs.record import Record, Status, StoredImage
from service.gateway import Gateway
from service.job import image_path
from service.openai.schemas import CreatedImage, ImageCompletedEvent, ImagePartialEvent, ImagesResponse, ImagesUsage
from service.problems import Refusal
from service.routes.images import expired


def images_response(gateway: Gateway, record: Record, format: str, base_url: str) -> ImagesResponse:
    """Of a generation that succeeded. `format` is b64_json or url."""
    assert record.finished_at is not None
    return ImagesResponse(
        created=int(record.finished_at.timestamp()),
        data=[
            CreatedImage(seed=image.seed, b64_json=encoded(gateway, record, image))
            if format == "b64_json"
            else CreatedImage(seed=image.seed, url=base_url.rstrip("/") + image_path(record.id, image.index))
            for image in record.images
        ],
        output_format=record.request.output.format,
        size=size(record),
        usage=ImagesUsage(nfe=record.usage.nfe),
    )


def partial(record: Record, number: int, data: dict[str, Any]) -> ImagePartialEvent:
    """Of the data of a `preview` event."""
    return ImagePartialEvent(
        type="image_generation.partial_image",
        b64_json=data["b64_png"],
        partial_image_index=number,
        created_at=int(time.time()),
        size=size(record),
        output_format="png",
    )


def completed(gateway: Gateway, record: Record) -> ImageCompletedEvent:
    """Of a generation that succeeded, whose first image is all there is."""
    assert record.finished_at is not None
    image = record.images[0]
    return ImageCompletedEvent(
        type="image_generation.completed",
        b64_json=encoded(gateway, record, image),
        created_at=int(record.finished_at.timestamp()),
        size=size(record),
        output_format=image.format,
        seed=image.seed,
        usage=ImagesUsage(nfe=record.usage.nfe),
    )


def encoded(gateway: Gateway, record: Record, image: StoredImage) -> str:
    """The stored bytes in Base64, or a refusal when they are no longer kept."""
    data = gateway.artifacts.get(image_key(record.id, record.attempts, image.index, image.format))
    if data is None:
        raise expired(f"image {image.index} of generation {record.id}")
    return base64.b64encode(data).decode()


def size(record: Record) -> str:
    return f"{record.request.width}x{record.request.height}"


def unsuccessful(record: Record, headers: dict[str, str]) -> Refusal:
    """What is said of a generation that ended without its images. Clients repeat it only where that may help."""
    if record.status == Status.FAILED and record.error:
        again = "true" if record.error.retryable else "false"
        detail = f"generation {record.id} failed: {record.error.detail}"
        return Refusal(500, record.error.code, detail, headers=headers | {"X-Should-Retry": again})
    reason = record.status_reason or str(record.status)
    detail = f"generation {record.id} {record.status}: {reason}"
    return Refusal(409, str(record.status), detail, headers=headers | {"X-Should-Retry": "false"})
