"""Places for short generations, beside those that RQ's bells fill: eight long ones do not keep a short one out."""

from __future__ import annotations

import threading

from jobs.attempt import Attempt
from workers.perform import carry_out, claim
from workers.runtime import Runtime

LOOK_SECONDS = 0.5
"""How often it is looked whether the worker leaves."""


class Express:
    """Threads that take the first short one in line when the watch says that there is one and no place is free.

    They hear no bell: a bell that they heard for a long one would be lost to a worker that has a place for it.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._called = threading.Event()

    def start(self) -> list[threading.Thread]:
        """They end when the worker leaves."""
        names = [f"{self.runtime.worker_id}-express-{k}" for k in range(self.runtime.settings.express)]
        threads = [threading.Thread(target=self._run, name=name) for name in names]
        for thread in threads:
            thread.start()
        return threads

    def wake(self) -> None:
        """Those that are free look; called for nothing they find nothing."""
        self._called.set()

    def _run(self) -> None:
        while not self.runtime.leaving.is_set():
            if self._called.wait(LOOK_SECONDS):
                self._called.clear()
                if isinstance(found := claim(self.runtime, express=True), Attempt):
                    carry_out(self.runtime, found)
