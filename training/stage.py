"""One resumable stage of training: AdamW, warm-up and cosine, an average of the weights, checkpoints by the clock."""

import math
import os
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from tqdm import tqdm

CHECKPOINT_SECONDS = 60.0
PREVIEWS = 8


@dataclass(frozen=True)
class Recipe:
    """How long and how fast a stage learns. `decay` is the per-step memory of the averaged weights."""

    steps: int
    rate: float
    warmup: int
    decay: float
    weight_decay: float = 0.01
    clip: float = 1.0


def save_atomically(value: Any, path: Path) -> None:
    """torch.save under a temporary name, then rename: a crash never leaves half a file behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    torch.save(value, temporary)
    os.replace(temporary, path)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then half a cosine down to 1 % of the peak at `recipe.steps`.

    It depends on the step only, so a run resumed with fewer total steps finishes its cosine earlier.
    """
    if step < recipe.warmup:
        return recipe.rate * (step + 1) / recipe.warmup
    progress = min(1.0, (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup))
    return recipe.rate * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)


class Stage:
    """Trains `model` on `loss(step, generator)` until `recipe.steps`, from the last checkpoint if there is one.

    All randomness of the loss must come from the given generator, whose state is part of the checkpoint: a stopped
    and resumed stage computes the same bits as an uninterrupted one.
    """

    def __init__(self, name: str, model: nn.Module, recipe: Recipe, seed: int, folder: Path) -> None:
        self.name, self.model, self.recipe = name, model, recipe
        self.path = folder / f"{name}.pt"
        self.average = deepcopy(model).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=True
        )
        self.generator = Generator().manual_seed(seed)
        self.step = 0
        self.seconds = 0.0
        self.losses: list[float] = []
        if self.path.exists():
            self.restore()

    def restore(self) -> None:
        saved = torch.load(self.path, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.generator.set_state(saved["generator"])
        self.step, self.seconds, self.losses = saved["step"], saved["seconds"], saved["losses"]

    def checkpoint(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
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

    def advance(self, loss: Tensor) -> None:
        """One optimizer step on `loss`."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, self.step)
        self.optimizer.step()
        self.update_average()
        self.losses.append(float(loss.detach()))
        self.step += 1

    def run(self, loss: Callable[[int, Generator], Tensor], preview: Callable[[], None] | None = None) -> nn.Module:
        """Train to the end, with a progress bar; `preview` is called up to PREVIEWS times. Returns the average."""
        bar = tqdm(total=self.recipe.steps, initial=self.step, desc=self.name, mininterval=2, smoothing=0.1)
        began = saved = time.monotonic()
        before = self.seconds
        every = math.ceil(self.recipe.steps / PREVIEWS)
        while self.step < self.recipe.steps:
            self.advance(loss(self.step, self.generator))
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
