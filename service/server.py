"""The server under the app: uvicorn, which waits only so long for the head of a request."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0
"""From a connection, or the first byte of its next request, to the end of the header fields. uvicorn itself waits for
ever, so that connections which say nothing would use up those there can be. Its bound on their size is 16 KiB."""


def config(app: Any) -> uvicorn.Config:
    """Of `guidepost serve`."""
    return uvicorn.Config(app, http=Impatient, log_config=None, access_log=False, timeout_graceful_shutdown=5)


class Impatient(H11Protocol):
    """Hangs up on who takes too long over the head of a request, however steadily its bytes trickle in."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop()

    def _wait(self) -> None:
        """Let the time run while the head is not there, and only then."""
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._hang_up)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hang_up(self) -> None:
        if self.conn.their_state is h11.IDLE:  # else the answer has not ended yet
            self.transport.close()
