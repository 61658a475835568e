"""Networks on a CPU, written down once for each batch size and run from that: without Python between the kernels.

Python is a third of a small network's forward, and only one thread at a time may run it, so that two cores wait for each
other. A trace is the same kernels on the same weights, hence the same bits, which is made sure of before it is used.
See docs/adr/0032-traced-networks.md.
"""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import torch
from torch import Tensor

from guidance.models.graphs import Inputs, Network, count_of, padded_to

log = logging.getLogger(__name__)

OFTEN = 8
"""Forwards of a kind before it is traced, which takes as long as some ten of them."""
SHORT = 0.5
"""Seconds of a forward beyond which Python's share is not worth what tracing holds: every layer's output at once."""
KEPT = 64


class Traced:
    """A network that is traced beside the work, once a kind of batch has been met often. For several threads.

    A kind is the shape, dtype and memory format of the inputs. What cannot be traced is run as it comes.
    """

    def __init__(self, network: Network, size: Callable[[int], int]) -> None:
        """`size` says how many rows a batch of so many is padded to."""
        self.network = network
        self.size = size
        self.traces: dict[Hashable, Future[Network]] = {}
        self._met: Counter[Hashable] = Counter()
        self._lock = threading.Lock()
        self._tracer: ThreadPoolExecutor | None = None

    def __call__(self, inputs: Inputs) -> Tensor:
        count = count_of(inputs)
        inputs = padded_to(self.size(count), inputs)
        kind = tuple((name, rows.shape, rows.stride(), rows.dtype) for name, rows in inputs.items())
        if kind in self.traces:
            return self._replay(kind)(inputs)[:count]
        began = time.perf_counter()
        output = self.network(inputs)[:count]
        if time.perf_counter() - began < SHORT:
            self._note(kind, inputs)
        return output

    def settle(self) -> None:
        """Return once all that was worth a trace has one, or has been given up."""
        wait(self.traces.values())

    def _replay(self, kind: Hashable) -> Network:
        """The trace, or the network as it comes where there is none yet or none at all."""
        trace = self.traces[kind]
        return trace.result() if trace.done() and trace.exception() is None else self.network

    def _note(self, kind: Hashable, inputs: Inputs) -> None:
        """One more batch of a kind; perhaps one that is worth a trace."""
        with self._lock:
            self._met[kind] += 1
            if self._met[kind] == OFTEN and len(self.traces) < KEPT:
                self._tracer = self._tracer or ThreadPoolExecutor(1, "tracer")
                self.traces[kind] = self._tracer.submit(_attempt, self.network, inputs)


def _attempt(network: Network, inputs: Inputs) -> Network:
    """As `traced`, on one core: the others have work."""
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return traced(network, inputs)
    except Exception as error:
        log.warning("forwards of %d rows are not traced: %s", count_of(inputs), error)
        raise
    finally:
        torch.set_num_threads(cores)  # new threads begin with what was set last, in whichever thread


@torch.no_grad()
def traced(network: Network, inputs: Inputs) -> Network:
    """`network` for inputs like these. Raises ValueError where others would not come out with the same bits."""

    def positional(*rows: Tensor) -> Tensor:
        return network(dict(zip(inputs, rows, strict=True)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of each size that is taken for fixed, as it is meant to be
        trace: Callable[..., Callable[..., Tensor]] = torch.jit.trace
        written = trace(positional, tuple(inputs.values()), check_trace=False)

    def replay(inputs: Inputs) -> Tensor:
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]  # nothing is fused: equal bits
            return written(*inputs.values())

    others = {name: -rows for name, rows in inputs.items()}
    if not torch.equal(replay(others), network(others)):
        raise ValueError("the trace's output is not that of the network")
    return replay
