"""Several child processes kept alive from one terminal, and ended together."""

import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from types import FrameType

from cli.process import Child, ending

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CRASHES, WITHIN_SECONDS = 3, 60.0  # that many unasked ends in that time: it will not get better
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Role:
    """What to run under a name."""

    name: str
    argv: Sequence[str]
    pass_fds: Sequence[int] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    """On top of the supervisor's."""


class Supervisor:
    def __init__(self, roles: Sequence[Role], env: Mapping[str, str], *, grace_seconds: float = 20.0) -> None:
        self.roles = {role.name: role for role in roles}
        self.env = env
        self.grace_seconds = grace_seconds
        self.children: dict[str, Child] = {}
        self.crashes: deque[float] = deque(maxlen=CRASHES)
        # SimpleQueue.put may be called from a signal handler while the main thread waits in get.
        self.news: SimpleQueue[Child | signal.Signals] = SimpleQueue()

    def run(self, ready: Callable[[], bool], announce: Callable[[], None]) -> int:
        """Start every role, announce once `ready` says so, and stay until a signal or a child that keeps dying."""
        before = {number: signal.signal(number, self._signalled) for number in STOPPING}
        try:
            for role in self.roles.values():
                self._start(role)
            return self._stay(ready, announce)
        finally:
            self.stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self.news.put(signal.Signals(number))

    def _start(self, role: Role) -> None:
        child = Child(role.name, role.argv, {**self.env, **role.env}, pass_fds=role.pass_fds)
        self.children[role.name] = child
        child.watch(self.news.put)

    def _stay(self, ready: Callable[[], bool], announce: Callable[[], None]) -> int:
        announced = False
        while True:
            try:
                news = self.news.get(timeout=None if announced else POLL_SECONDS)
            except Empty:
                if ready():
                    announced = True
                    announce()
                continue
            if isinstance(news, signal.Signals):
                say(f"{news.name}: stopping")
                return 0
            if not self._worth_restarting(news, announced):
                return 1
            self._start(self.roles[news.name])

    def _worth_restarting(self, child: Child, announced: bool) -> bool:
        """Whether an unasked end is taken for an accident; before everything was ready it is a wrong setting."""
        how, now = ending(child.process.returncode), time.monotonic()
        self.crashes.append(now)
        if not announced:
            say(f"{child.name} {how} before the service was ready: giving up")
            return False
        if len(self.crashes) == CRASHES and now - self.crashes[0] < WITHIN_SECONDS:
            say(f"{child.name} {how}: {CRASHES} ends within {WITHIN_SECONDS:.0f} s, giving up")
            return False
        say(f"{child.name} {how}: starting it again")
        return True

    def stop(self) -> None:
        """Ask every child to end, then see that it did."""
        for child in self.children.values():
            child.terminate()
        deadline = time.monotonic() + self.grace_seconds
        for child in self.children.values():
            child.join(max(0.0, deadline - time.monotonic()))


def say(text: str) -> None:
    print(f"guidepost | {text}", file=sys.stderr, flush=True)
