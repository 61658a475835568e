"""Which forwards are recorded, of how many rows, and what becomes of the others. A recording is a plain call here."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from guidance.attention import IdentityAttention
from guidance.models.execution import Execution
from guidance.models.graphs import Graphs, Inputs, Sizes, Work
from guidance.models.stable_diffusion import StableDiffusion
from guidance.noise import Level
from guidance.protocol import Branch, TimeNoise
from tests.guidance.steps import noise

CPU = torch.device("cpu")


class Recorder:
    """Remembers how many rows each recording has."""

    def __init__(self) -> None:
        self.recorded = 0

    def __call__(self, work: Work) -> Work:
        work()  # what cannot be run cannot be recorded
        self.recorded += 1
        return work


class Doubling:
    """A network of one tensor that says how many rows it was given."""

    def __init__(self, room: int = 64) -> None:
        self.room = room
        self.sizes: list[int] = []

    def __call__(self, inputs: Inputs) -> Tensor:
        self.sizes.append(len(inputs["x"]))
        if len(inputs["x"]) > self.room:
            raise torch.OutOfMemoryError(f"no room for {len(inputs['x'])} rows")
        return 2 * inputs["x"]


def rows(count: int, features: int = 3) -> dict[str, Tensor]:
    return {"x": noise(count, (count, features), torch.float32)}


@pytest.fixture(scope="module")
def net(folder: Path) -> StableDiffusion:
    """With every plain forward recorded, and run on one thread, as on a GPU."""
    made = StableDiffusion.load(folder, "tiny", CPU, torch.float32)
    made.plain = Graphs(made._network, Sizes(), Recorder())
    return made


@pytest.fixture(scope="module")
def eager(folder: Path) -> StableDiffusion:
    return StableDiffusion.load(folder, "tiny", CPU, torch.float32)


@pytest.fixture(scope="module")
def branches(eager: StableDiffusion) -> list[Branch]:
    """Different noise, level and prompt in each."""
    shape = eager.shape(eager.info.width, eager.info.height)
    return [
        Branch(
            "cond",
            noise(row, shape, torch.float32),
            Level.variance_preserving(50.0 * row, 1.0),
            eager.encode(f"row {row}"),
        )
        for row in range(9)
    ]


@pytest.mark.parametrize(
    ("asked", "given"),
    [(1, 2), (2, 2), (3, 4), (4, 4), (5, 6), (7, 8), (9, 12), (13, 16), (17, 24), (33, 48), (300, 300)],
)
def test_a_recorded_batch_has_the_next_canonical_number_of_rows(asked: int, given: int) -> None:
    assert Sizes(most=512).canonical(asked) == given


@pytest.mark.parametrize(("asked", "given"), [(8, 8), (9, 10), (10, 10)])
def test_no_batch_is_padded_beyond_the_largest_that_is_asked(asked: int, given: int) -> None:
    assert Sizes(most=10).canonical(asked) == given


def test_a_batch_that_runs_as_it_comes_is_padded_to_two_rows_or_to_what_all_have() -> None:
    assert [Sizes().padded(count) for count in (1, 2, 3, 11)] == [2, 2, 3, 11]
    assert [Sizes(always=8).padded(count) for count in (1, 8)] == [8, 8]
    assert [Sizes(always=8).canonical(count) for count in (1, 5, 8)] == [8, 8, 8]
    with pytest.raises(ValueError, match="9 rows in one forward, where every forward has 8"):
        Sizes(always=8).padded(9)


def test_every_batch_has_the_same_size_where_that_is_asked() -> None:
    network = Doubling()
    run = Execution(sizes=Sizes(always=4)).of(network, CPU)
    for count in (1, 2, 4):
        assert torch.equal(run(rows(count)), 2 * rows(count)["x"])
    assert network.sizes == [4, 4, 4]


@pytest.mark.parametrize("order", [range(1, 10), range(9, 0, -1)], ids=["growing", "shrinking"])
def test_recorded_rows_have_the_bits_of_plain_ones(
    net: StableDiffusion, eager: StableDiffusion, branches: list[Branch], order: Sequence[int]
) -> None:
    for count in order:
        for got, expected in zip(net._forward(branches[:count]), eager.evaluate(branches[:count]), strict=True):
            assert torch.equal(got, expected), f"a batch of {count}"


def test_an_answer_outlives_the_next_replay() -> None:
    graphs = Graphs(Doubling(), Sizes(), Recorder())
    first = graphs(rows(2))
    kept = first.clone()
    graphs({"x": torch.zeros(2, 3)})
    assert torch.equal(first, kept)


def test_each_kind_of_batch_is_recorded_once() -> None:
    recorder = Recorder()
    graphs = Graphs(Doubling(), Sizes(), recorder)
    for count in (3, 4, 3, 5, 6, 5):
        graphs(rows(count))
    assert recorder.recorded == 2
    graphs(rows(4, features=5))
    graphs({"x": rows(4)["x"].half()})
    assert recorder.recorded == 4


def test_the_recording_that_was_not_used_for_longest_is_dropped() -> None:
    recorder = Recorder()
    graphs = Graphs(Doubling(), Sizes(), recorder, kept=2)
    for count in (2, 4, 2, 6):
        graphs(rows(count))
    assert recorder.recorded == 3 and len(graphs.recordings) == 2
    graphs(rows(2))
    assert recorder.recorded == 3
    graphs(rows(4))
    assert recorder.recorded == 4


def test_what_cannot_be_recorded_is_run_as_it_comes_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    tried, network = 0, Doubling()

    def refusing(work: Work) -> Work:
        nonlocal tried
        tried += 1
        raise RuntimeError("operation not permitted when stream is capturing")

    graphs = Graphs(network, Sizes(), refusing)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert torch.equal(graphs(rows(3)), 2 * rows(3)["x"])
    assert tried == 1 and network.sizes == [3, 3, 3]
    [said] = caplog.messages
    assert said == "forwards of 4 rows are not recorded: operation not permitted when stream is capturing"


def test_a_batch_whose_padding_has_no_room_runs_without_it() -> None:
    network = Doubling(room=9)
    graphs = Graphs(network, Sizes(), Recorder())
    assert torch.equal(graphs(rows(9)), 2 * rows(9)["x"])
    assert network.sizes == [12, 9]


def test_recordings_are_given_up_where_a_batch_has_no_room() -> None:
    graphs = Graphs(Doubling(room=4), Sizes(), Recorder())
    graphs(rows(4))
    with pytest.raises(torch.OutOfMemoryError):
        graphs(rows(5))
    assert not graphs.recordings
    assert torch.equal(graphs(rows(4)), 2 * rows(4)["x"])


def test_rows_that_ask_something_of_the_network_are_not_recorded(
    net: StableDiffusion, eager: StableDiffusion, branches: list[Branch]
) -> None:
    plain, *others = branches[:4]
    edited = others[0].edited(IdentityAttention(("mid",)))
    noisy = Branch("noisy", others[1].x, others[1].level, others[1].cond, time_noise=TimeNoise(1.0, 3))
    recorded = net.plain.recorder.recorded  # type: ignore[attr-defined]
    for got, expected in zip(net._forward([plain, edited, noisy]), eager.evaluate([plain, edited, noisy]), strict=True):
        assert torch.equal(got, expected)
    pulled = Branch("pulled", others[2].x, others[2].level, others[2].cond, pull=torch.ones_like(others[2].x))
    assert torch.equal(net._forward([pulled])[0], eager.evaluate([pulled])[0])
    assert net.plain.recorder.recorded == recorded  # type: ignore[attr-defined]


def test_rows_that_ask_share_no_batch_with_those_that_take_another_way(
    eager: StableDiffusion, branches: list[Branch], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, edited = branches[0], branches[0].edited(IdentityAttention(("mid",)))
    assert eager.batch_key(plain) == eager.batch_key(edited)
    monkeypatch.setattr(eager, "execution", Execution(compiled=True))
    assert eager.batch_key(plain) != eager.batch_key(edited)


def test_graphs_are_for_cuda_and_compiled_networks_for_every_device() -> None:
    cuda = torch.device("cuda")
    assert [Execution(graphs=True).apart(device) for device in (CPU, cuda)] == [False, True]
    assert [Execution(compiled=True).apart(device) for device in (CPU, cuda)] == [True, True]
    assert not Execution().apart(cuda)


def test_a_compiled_network_sees_canonical_sizes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Doubling()
    monkeypatch.setattr("guidance.models.execution.compiled", lambda network: network)
    run = Execution(compiled=True).of(network, CPU)
    for count in (1, 3, 5, 9):
        assert torch.equal(run(rows(count)), 2 * rows(count)["x"])
    assert network.sizes == [2, 4, 6, 12]
