"""A receiver of webhooks: a real HTTP server on loopback that answers as it is told and keeps what it got."""

from __future__ import annotations

import queue
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

TIMEOUT = 30.0


@dataclass(frozen=True)
class Message:
    path: str
    headers: dict[str, str]
    """By their names in lower case."""
    body: bytes

    def verified(self, secret: str) -> Any:
        """What it says; raises unless the secret signed it."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    url: str
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Statuses and headers of the next answers; 204 when there are none left."""
    messages: queue.SimpleQueue[Message] = field(default_factory=queue.SimpleQueue)
    held: threading.Event | None = None
    """Answers wait for it."""

    def got(self) -> Message:
        """The next message; waits for it."""
        return self.messages.get(timeout=TIMEOUT)

    def answer(self, *statuses: int, **headers: str) -> None:
        self.answers += [(status, headers) for status in statuses]


@contextmanager
def receiving(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Receiver]:
    receiver = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more = receiver.answers.pop(0) if receiver.answers else (204, {})
            receiver.messages.put(Message(self.path, headers, body))
            if receiver.held:
                receiver.held.wait(TIMEOUT)
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        receiver.url = f"{'https' if tls else 'http'}://{host}:{server.server_port}/hook?key=1"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield receiver
        finally:
            if receiver.held:
                receiver.held.set()
            server.shutdown()
            thread.join(TIMEOUT)
