"""Time spent in named functions while they are replaced by timed ones: own time, that of watched callees taken out."""

from __future__ import annotations

import functools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

Place = tuple[str, Any, str]
"""What the time is called, and the object (module, class or instance) whose attribute is watched."""


class Stopwatch:
    """For functions that one thread calls: the engine's."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self._inner: list[float] = []

    @contextmanager
    def watching(self, places: Sequence[Place]) -> Iterator[None]:
        with ExitStack() as stack:
            for name, owner, attribute in places:
                stack.enter_context(self._replaced(name, owner, attribute))
            yield

    @contextmanager
    def _replaced(self, name: str, owner: Any, attribute: str) -> Iterator[None]:
        own = attribute in vars(owner)
        original = getattr(owner, attribute)
        setattr(owner, attribute, self._timed(name, original))
        try:
            yield
        finally:
            if own:
                setattr(owner, attribute, original)
            else:
                delattr(owner, attribute)

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.perf_counter() - began
                self.seconds[name] += spent - self._inner.pop()
                self.calls[name] += 1
                if self._inner:
                    self._inner[-1] += spent

        return timed
