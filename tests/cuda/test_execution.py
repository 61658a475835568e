"""Forwards on a GPU: equal bits in any batch, recorded or not, and rows by memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor

from guidance.attention import IdentityAttention
from guidance.models.execution import Execution
from guidance.models.graphs import Graphs, Sizes
from guidance.models.stable_diffusion import StableDiffusion
from guidance.noise import Level
from guidance.protocol import Branch
from jobs.settings import Settings
from tests.cuda.conftest import DEVICE, NAMES
from tests.guidance.steps import noise
from workers.budget import row_budget
from workers.loading import load

ROWS = 16
HALF = {torch.float32: 1e-4, torch.float16: 3e-2, torch.bfloat16: 2e-1}
"""How far rows of batches of different sizes may be apart, of outputs of about unit size."""

Net = Callable[..., StableDiffusion]
every_network = pytest.mark.parametrize("name", NAMES)
every_dtype = pytest.mark.parametrize("dtype", HALF, ids=lambda dtype: str(dtype).removeprefix("torch."))


@pytest.fixture(scope="module")
def net(folders: dict[str, Path]) -> Net:
    @cache
    def made(name: str, dtype: torch.dtype, graphs: bool, always: int | None) -> StableDiffusion:
        execution = Execution(graphs=graphs, sizes=Sizes(always=always))
        return cast(StableDiffusion, load(name, str(folders[name]), DEVICE, dtype, execution))

    return made


def branches(model: StableDiffusion, count: int = ROWS) -> list[Branch]:
    """Different noise, level and prompt in each."""
    shape = model.shape(model.info.width, model.info.height)
    return [
        Branch(
            "cond",
            noise(row, shape, torch.float32).to(DEVICE),
            Level.variance_preserving(50.0 * row, 1.0),
            model.encode(f"row {row}"),
        )
        for row in range(count)
    ]


def differing(model: StableDiffusion, rows: list[Branch]) -> list[int]:
    """Sizes of batches, in either order, in which some row has other bits than alone."""
    alone = [model.evaluate([row])[0] for row in rows]
    found = []
    for size in range(2, len(rows) + 1):
        first, last = model.evaluate(rows[:size]), model.evaluate(rows[::-1][:size])
        equal = [torch.equal(got, alone[place]) for place, got in enumerate(first)]
        equal += [torch.equal(got, alone[len(rows) - 1 - place]) for place, got in enumerate(last)]
        found += [] if all(equal) else [size]
    return found


@every_network
@every_dtype
@pytest.mark.parametrize("graphs", [False, True], ids=["eager", "graphs"])
def test_rows_have_equal_bits_in_any_batch_where_all_are_padded_to_one_size(
    net: Net, name: str, dtype: torch.dtype, graphs: bool
) -> None:
    model = net(name, dtype, graphs, ROWS)
    assert differing(model, branches(model)) == []


@every_network
@every_dtype
def test_a_recorded_forward_has_the_bits_of_a_plain_one_of_its_size(net: Net, name: str, dtype: torch.dtype) -> None:
    recorded, plain = net(name, dtype, True, None), net(name, dtype, False, None)
    graphs = cast(Graphs, recorded.plain)
    for size in (2, 4, 16, 4, 2, 16):  # each again after others
        rows = branches(plain, size)
        for got, expected in zip(recorded.evaluate(rows), plain.evaluate(rows), strict=True):
            assert torch.equal(got, expected), f"{size} rows"
    assert not graphs.refused and graphs.recordings


@every_network
@every_dtype
def test_rows_of_batches_of_any_size_agree_to_rounding(
    net: Net, name: str, dtype: torch.dtype, record_property: Callable[[str, object], None]
) -> None:
    """And which sizes have other bits is told: `pytest -s`."""
    model = net(name, dtype, False, None)
    rows = branches(model)
    alone = [model.evaluate([row])[0] for row in rows]
    for size in range(2, ROWS + 1):
        for got, expected in zip(model.evaluate(rows[:size]), alone, strict=False):
            torch.testing.assert_close(got, expected, rtol=0, atol=HALF[dtype] * float(expected.abs().max()))
    found = differing(model, rows)
    record_property("sizes with other bits", found)
    print(f"\n{name}, {dtype}: sizes with other bits than a lone row: {found or 'none'}")


@every_network
def test_rows_that_ask_for_another_attention_leave_the_others_their_bits(net: Net, name: str) -> None:
    model = net(name, torch.float16, True, ROWS)
    rows = branches(model, 6)
    alone = [model.evaluate([row])[0] for row in rows]
    edited = rows[0].edited(IdentityAttention(("mid",)))
    assert model.batch_key(edited) != model.batch_key(rows[1])
    changed, *others = model.evaluate([edited, *rows[1:]])
    assert not torch.equal(changed, alone[0])
    assert all(torch.equal(got, expected) for got, expected in zip(others, alone[1:], strict=True))


def test_images_may_be_copied_to_the_host_while_a_forward_is_recorded(folders: dict[str, Path]) -> None:
    model = cast(StableDiffusion, load("shapes", str(folders["shapes"]), DEVICE, torch.float16, Execution(graphs=True)))
    rows, over, failed = branches(model, 12), threading.Event(), list[Exception]()

    def copying() -> None:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        try:
            with torch.cuda.stream(stream):
                while not over.is_set():
                    torch.ones(3, 64, 64, device=DEVICE).mul(2).cpu()
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=copying)
    thread.start()
    try:
        for size in (2, 4, 6, 8, 12):
            model.evaluate(rows[:size])
    finally:
        over.set()
        thread.join()
    graphs = cast(Graphs, model.plain)
    assert not failed and not graphs.refused and len(graphs.recordings) == 5


@every_network
def test_a_forward_of_the_rows_that_memory_allows_runs(net: Net, name: str) -> None:
    model = net(name, torch.float16, True, None)
    rows = row_budget(Settings(), [model])
    assert 2 <= rows <= 64
    outputs: list[Tensor] = model.evaluate(branches(model, rows))
    assert all(bool(output.isfinite().all()) for output in outputs)
