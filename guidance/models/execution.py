"""How a network is run: as it comes, compiled, recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from guidance.models.graphs import Graphs, Inputs, Network, Sizes, count_of, padded_to
from guidance.models.traced import Traced

KINDS = 1024


@dataclass(frozen=True)
class Execution:
    """What is wished for; where a device has no recordings, its networks are run as they come."""

    graphs: bool = False
    """CUDA graphs, and traces on a CPU."""
    compiled: bool = False
    sizes: Sizes = field(default_factory=Sizes)

    def apart(self, device: torch.device) -> bool:
        """Whether rows that ask nothing of the network take another way than the others, so that they share no batch."""
        return self.compiled or (self.graphs and device.type == "cuda")

    def of(self, network: Network, device: torch.device) -> Network:
        """`network` for rows that ask nothing of it."""
        if self.compiled:
            network = compiled(network)
        if self.graphs and device.type == "cuda":
            from guidance.models.cuda import Recorder

            return Graphs(network, self.sizes, Recorder(device))
        if self.graphs and device.type == "cpu" and not self.compiled:
            return Traced(network, self.sizes.padded)
        return Padded(network, self.sizes.canonical if self.compiled else self.sizes.padded)


@dataclass(frozen=True)
class Padded:
    """A network that is not recorded, in batches of the sizes that there are."""

    network: Network
    size: Callable[[int], int]
    """Of the batch that so many rows are padded to."""

    def __call__(self, inputs: Inputs) -> Tensor:
        count = count_of(inputs)
        return self.network(padded_to(self.size(count), inputs))[:count]


def compiled(network: Network) -> Network:
    """`network` through inductor, once for each size and shape of its inputs."""
    dynamo = torch._dynamo.config
    dynamo.recompile_limit = dynamo.accumulated_recompile_limit = KINDS  # beyond, torch would not compile: other bits
    compile: Callable[..., Network] = torch.compile
    return compile(network, dynamic=False)
