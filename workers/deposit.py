"""What an attempt leaves in the artifact store, under its number."""

from __future__ import annotations

import json
from collections.abc import Callable

from jobs.artifacts import ArtifactStore, diagnostics_key, image_key, picture_key
from jobs.attempt import Attempt
from jobs.record import StoredImage
from workers.delivery import Encoded, document, drawn, encoded
from workers.task import Outcome


class Deposit:
    """Of one attempt. `show` is told after each image which ones are stored so far."""

    def __init__(self, artifacts: ArtifactStore, attempt: Attempt, show: Callable[[list[StoredImage]], None]) -> None:
        self.artifacts, self.attempt, self.show = artifacts, attempt, show

    def make(self, outcome: Outcome) -> list[StoredImage]:
        """Store the images, then what was measured of them. Raises StorageAway."""
        stored: list[StoredImage] = []
        for image in (encoded(image, self.attempt.request) for image in outcome.images):
            stored.append(self._image(image))
            self.show(stored)
        if stored:
            self._diagnostics(outcome)
        return stored

    def _image(self, image: Encoded) -> StoredImage:
        id, number, format = self.attempt.id, self.attempt.number, self.attempt.request.output.format
        self.artifacts.put(image_key(id, number, image.index, format), image.data)
        return StoredImage(
            index=image.index,
            seed=image.seed,
            sha256=image.sha256,
            width=image.width,
            height=image.height,
            format=format,
        )

    def _diagnostics(self, outcome: Outcome) -> None:
        """The pictures before the document that lists them."""
        id, number = self.attempt.id, self.attempt.number
        pictures = drawn(outcome, self.attempt.request)
        for index, sheets in pictures.items():
            for sheet in sheets:
                self.artifacts.put(picture_key(id, number, index, sheet.name), sheet.data)
        if (written := document(outcome, self.attempt.request, pictures)) is not None:
            self.artifacts.put(diagnostics_key(id, number), json.dumps(written).encode())
