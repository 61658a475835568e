"""CUDA graphs: work of the device, recorded once and launched as one."""

from __future__ import annotations

import torch
from torch import Tensor

from guidance.models.graphs import Work

WARM_UPS = 2
"""Runs before the recording, in which libraries choose kernels and take their workspaces."""


class Recorder:
    """Records on a stream of its own; all recordings share one pool of memory, since they run one after another.

    Other threads may use the device meanwhile. Recordings are replayed on the stream of who asks.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Work) -> Work:
        with torch.cuda.device(self.device):
            asking = torch.cuda.current_stream()
            self._stream.wait_stream(asking)
            with torch.cuda.stream(self._stream):
                for _ in range(WARM_UPS):
                    work()
            graph = torch.cuda.CUDAGraph()
            # Only this thread is kept from what a recording forbids: others may copy images to the host.
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                output = work()
            asking.wait_stream(self._stream)

        def replay() -> Tensor:
            graph.replay()
            return output

        return replay
