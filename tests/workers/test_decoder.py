"""Samples that become pixels beside the engine."""

from __future__ import annotations

import threading
from functools import partial

import pytest
import torch
from torch import Tensor

from guidance.models.base import to_bytes
from tests.workers.conftest import Failing, MakeTask, outcome, run_to_end, small_mixture
from workers.decoder import Decoder, Wanted
from workers.engine import Engine
from workers.task import Pixels

SAMPLE = (1, 3, 4, 4)


class Counting(Failing):
    """Notes how many samples it is given at a time; the first waits until it is told to go on."""

    def __init__(self, *, broken: float | None = None) -> None:
        mixture = small_mixture()
        super().__init__(mixture.means, mixture.stds, id="small")
        self.sizes: list[int] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.broken = broken

    def decode(self, sample: Tensor) -> Tensor:
        self.sizes.append(len(sample))
        self.begun.set()
        self.go_on.wait()
        if self.broken is not None and bool((sample == self.broken).any()):
            raise RuntimeError("broken")
        return super().decode(sample)


def decoded(model: Counting, count: int) -> tuple[dict[int, Pixels], dict[int, Exception], list[str]]:
    """Pixels and errors by number, of `count` samples asked for while the first is under way; and what came last."""
    decoder, pixels, errors, said = Decoder(), dict[int, Pixels](), dict[int, Exception](), list[str]()
    for k in range(count):
        sample = torch.full(SAMPLE, k / 10, dtype=torch.float64)
        decoder.put(Wanted(model, sample, partial(pixels.__setitem__, k), partial(errors.__setitem__, k)))
        model.begun.wait()
    decoder.put(lambda: said.append(f"{len(pixels) + len(errors)} before"))
    model.go_on.set()
    decoder.close()
    return pixels, errors, said


def test_what_waits_is_decoded_together_and_each_gets_its_own() -> None:
    model = Counting()
    pixels, errors, said = decoded(model, 12)
    assert model.sizes == [1, 8, 3] and not errors and said == ["12 before"]
    for k, found in pixels.items():
        assert (found == to_bytes(small_mixture().decode(torch.full(SAMPLE, k / 10, dtype=torch.float64)))).all()


def test_one_that_cannot_be_decoded_fails_alone() -> None:
    pixels, errors, said = decoded(Counting(broken=0.3), 5)
    assert sorted(pixels) == [0, 1, 2, 4] and list(errors) == [3] and said == ["5 before"]


def test_a_request_whose_picture_cannot_be_made_fails_and_its_neighbours_do_not(
    model: Failing, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(sample: Tensor) -> Tensor:
        if not spoilt:
            spoilt.append(sample[:1])
        if any(torch.equal(row, spoilt[0]) for row in torch.split(sample, 1)):
            raise RuntimeError("no room for pixels")
        return small_mixture().decode(sample)

    spoilt: list[Tensor] = []
    """The first that is seen, alone or beside the other."""
    monkeypatch.setattr(model, "decode", decode)
    ended = run_to_end(Engine({"small": model}), [make_task("one"), make_task("other", seed=1)])
    assert sorted((one.status, one.reason) for one in ended) == [("failed", "internal"), ("succeeded", None)]


def test_the_engine_goes_on_while_a_picture_is_made(make_task: MakeTask) -> None:
    model = Counting()
    engine = Engine({"small": model}, max_batch_rows=8)
    short, long = make_task("short"), make_task("long", sampler={"type": "ddim", "steps": 12})
    engine.submit(short)
    engine.submit(long)
    for _ in range(4):
        engine.tick()
    assert model.begun.wait(10)
    steps = engine.stats.steps
    engine.tick()
    assert engine.stats.steps == steps + 1
    model.go_on.set()
    run_to_end(engine, [])
    assert outcome(short).status == outcome(long).status == "succeeded"
