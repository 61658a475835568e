"""One resumable stage of training: warm-up, plateau, descent; an average of the weights; checkpoints by the clock."""

import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from tqdm import tqdm

from training.muon import Muon

CHECKPOINT_SECONDS = 60.0
PREVIEWS = 8
PLATEAU = 0.7  # share of the steps after which the rate goes down
SHARES = 2  # parts of a batch computed side by side; fixed, because it decides the order of sums
CORES = 2  # for a batch in one part
Loss = Callable[[], Tensor]


@dataclass(frozen=True)
class Recipe:
    """How long and how fast a stage learns. `decay` is the per-step memory of the averaged weights.

    With `muon`, weights of two dimensions and more learn by Muon at `rate`, the others by AdamW at a quarter of it.
    """

    steps: int
    rate: float
    warmup: int
    decay: float
    weight_decay: float = 0.01
    clip: float = 1.0
    muon: bool = False
    bfloat16: bool = False
    shares: int = SHARES


def save_atomically(value: Any, path: Path) -> None:
    """torch.save under a temporary name, then rename: a crash never leaves half a file behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    torch.save(value, temporary)
    os.replace(temporary, path)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Of the peak: linear warm-up, a plateau until PLATEAU of the steps, then straight down to 1 % at the last.

    It depends on the step only: until the plateau's end a run may be resumed with more steps or fewer, and is then what
    it would have been with so many from the beginning (Hägele et al. 2024, arXiv:2405.18392).
    """
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    if step <= PLATEAU * recipe.steps:
        return 1.0
    return max(0.01, (recipe.steps - step) / (recipe.steps * (1 - PLATEAU)))


def shares(count: int, into: int = SHARES) -> list[slice]:
    """Rows of a batch of `count` for each share: every `into`-th."""
    return [slice(start, None, into) for start in range(min(into, count))]


def optimizers(weights: Sequence[nn.Parameter], recipe: Recipe) -> list[torch.optim.Optimizer]:
    """What moves the weights; each group remembers its peak rate."""
    matrices = [weight for weight in weights if recipe.muon and weight.ndim > 1]
    rest = [weight for weight in weights if not (recipe.muon and weight.ndim > 1)]
    rate, decay = recipe.rate / 4 if recipe.muon else recipe.rate, recipe.weight_decay
    out: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.99), weight_decay=decay, fused=True)
    ]
    if matrices:
        precision = torch.bfloat16 if recipe.bfloat16 else torch.float32
        out.append(Muon(matrices, lr=recipe.rate, weight_decay=decay, precision=precision))
    for optimizer in out:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return out


class Stage:
    """Trains `model` until `recipe.steps`, from the last checkpoint if there is one.

    All randomness must come from the given generator while a step's shares are drawn. Its state is part of the
    checkpoint: a stopped and resumed stage sees the same data, and its weights end where an uninterrupted one's do, up
    to the rounding of the mathematics library, which need not repeat itself on every machine.
    """

    def __init__(self, name: str, model: nn.Module, recipe: Recipe, seed: int, folder: Path) -> None:
        self.name, self.model, self.recipe = name, model, recipe
        self.path = folder / f"{name}.pt"
        self.average = deepcopy(model).requires_grad_(False)
        self.generator = Generator().manual_seed(seed)
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimizers = optimizers(self.weights, recipe)
        self.threads = ThreadPoolExecutor(SHARES, initializer=torch.set_num_threads, initargs=(1,))
        self.step = 0
        self.seconds = 0.0
        self.losses: list[float] = []
        if self.path.exists():
            self.restore()

    def restore(self) -> None:
        saved = torch.load(self.path, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.average.load_state_dict(saved["average"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.generator.set_state(saved["generator"])
        self.step, self.seconds, self.losses = saved["step"], saved["seconds"], saved["losses"]

    def checkpoint(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "generator": self.generator.get_state(),
            "step": self.step,
            "seconds": self.seconds,
            "losses": self.losses,
        }
        save_atomically(state, self.path)

    @torch.no_grad()
    def update_average(self) -> None:
        """Exponential average, with a short memory at first: decay min(d, (1 + n) / (10 + n))."""
        decay = min(self.recipe.decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)

    def gradients(self, loss: Loss) -> tuple[float, list[Tensor]]:
        """Value and gradients of one share of a step's loss."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bfloat16):
            value = loss()
        return float(value.detach()), list(torch.autograd.grad(value, self.weights))

    def advance(self, shares: Sequence[Loss]) -> None:
        """One optimizer step on the mean of the shares' losses, each computed by a thread of its own.

        One core per share beats all cores on each operation: nothing waits for the slower core until the very end.
        The gradients are added in the order of the shares, so the result does not depend on who was faster.
        """
        if self.recipe.shares == 1:
            results = [self.gradients(share) for share in shares]
        else:
            results = list(self.threads.map(self.gradients, shares))
        for weight, *parts in zip(self.weights, *(grads for _, grads in results), strict=True):
            # in the weight's own memory order: the fused optimizer reads both as flat arrays
            weight.grad = torch.empty_like(weight).copy_(torch.stack(parts).mean(0))
        nn.utils.clip_grad_norm_(self.weights, self.recipe.clip)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * learning_rate(self.recipe, self.step)
            optimizer.step()
        self.update_average()
        self.losses.append(sum(value for value, _ in results) / len(results))
        self.step += 1

    def run(
        self, draw: Callable[[int, Generator], Sequence[Loss]], preview: Callable[[], None] | None = None
    ) -> nn.Module:
        """Train to the end, with a progress bar; returns the average.

        `draw` gives a step's shares; `preview` is called up to PREVIEWS times.
        """
        # beside shares, a team of this thread's own would take the cores from them while it waits
        torch.set_num_threads(1 if self.recipe.shares > 1 else CORES)
        bar = tqdm(total=self.recipe.steps, initial=self.step, desc=self.name, mininterval=2, smoothing=0.1)
        began = saved = time.monotonic()
        before = self.seconds
        every = math.ceil(self.recipe.steps / PREVIEWS)
        while self.step < self.recipe.steps:
            self.advance(draw(self.step, self.generator))
            self.seconds = before + time.monotonic() - began
            bar.set_postfix_str(f"loss {self.recent_loss():.4f}", refresh=False)
            bar.update()
            due = self.step % every == 0 or self.step == self.recipe.steps
            if due or time.monotonic() - saved > CHECKPOINT_SECONDS:
                self.checkpoint()
                saved = time.monotonic()
            if due and preview:
                preview()
        bar.close()
        return self.average.eval()

    def recent_loss(self) -> float:
        recent = self.losses[-100:]
        return sum(recent) / len(recent)
