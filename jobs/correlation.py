"""What ties together the log lines, spans and records of one piece of work, in every process that touches it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields

MAX_TRACESTATE = 512
"""Characters that every participant must pass on (W3C Trace Context, 3.3.1.5)."""

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_TRACESTATE = re.compile(rf"[\x20-\x7e]{{1,{MAX_TRACESTATE}}}")


@dataclass
class Correlation:
    """The identifiers of the work at hand, as far as they are known yet."""

    request_id: str | None = None
    generation_id: str | None = None
    tenant: str | None = None
    traceparent: str | None = None
    """W3C Trace Context: the span that new ones are children of."""
    tracestate: str | None = None

    @property
    def trace_id(self) -> str | None:
        return self.traceparent.split("-")[1] if self.traceparent else None

    @property
    def origin(self) -> dict[str, str]:
        """What a generation keeps of the request that made it."""
        return _known(self, "request_id", "traceparent", "tracestate")

    @property
    def labels(self) -> dict[str, str]:
        """What a log line carries."""
        return _known(self, "request_id", "generation_id", "tenant", "trace_id")


_current: ContextVar[Correlation | None] = ContextVar("correlation", default=None)


def current() -> Correlation:
    """That of this task or thread; an empty one outside of any work."""
    return _current.get() or Correlation()


@contextmanager
def correlated(correlation: Correlation) -> Iterator[Correlation]:
    """Within, `current()` is this one, also in the threads to which the context is copied."""
    before = _current.set(correlation)
    try:
        yield correlation
    finally:
        _current.reset(before)


def bind(**known: str | None) -> None:
    """Add what became known of the work at hand; seen by all who share it. Without effect outside of any work."""
    assert known.keys() <= {field.name for field in fields(Correlation)}
    vars(current()).update(known)


def trace_context(headers: Mapping[str, str]) -> dict[str, str]:
    """`traceparent` and `tracestate` as far as they are valid; a tracestate alone means nothing."""
    parent, state = headers.get("traceparent", ""), headers.get("tracestate", "")
    found = _TRACEPARENT.fullmatch(parent)
    if found is None or (found[1] == "00" and found[3]):  # later versions may add fields, this one has none
        return {}
    return {"traceparent": parent} | ({"tracestate": state} if _TRACESTATE.fullmatch(state) else {})


def _known(correlation: Correlation, *names: str) -> dict[str, str]:
    return {name: value for name in names if (value := getattr(correlation, name)) is not None}
