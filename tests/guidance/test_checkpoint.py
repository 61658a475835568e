"""Nested values as bytes, and what is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from guidance.checkpoint import Packed, Unreadable
from guidance.noise import Level
from guidance.protocol import Companion, Condition

HOST = torch.device("cpu")


def through_bytes(value: Any) -> Any:
    return Packed.from_bytes(Packed.of(value).to_bytes("this"), "this").unpacked(HOST)


def test_plain_values_come_back_with_their_types() -> None:
    value = {"a": [1, 1.0, True, None, "x"], "b": (math.inf, 0.1 + 0.2, ()), "c": {"d": Level(999.0, 0.0, 1.0)}}
    back = through_bytes(value)
    assert repr(back) == repr(value)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.uint8])
def test_tensors_come_back_bit_for_bit(dtype: torch.dtype) -> None:
    for shape in [(), (0,), (2, 3)]:
        tensor = (3 * torch.rand(shape)).to(dtype)
        back = through_bytes([tensor])[0]
        assert back.dtype == dtype and torch.equal(back, tensor)


def test_a_tensor_lies_in_memory_as_it_did() -> None:
    """So that a sum over it is taken in the same order."""
    tensor = torch.rand(1, 3, 4, 5).to(memory_format=torch.channels_last)
    back = through_bytes(tensor)
    assert back.stride() == tensor.stride() and torch.equal(back, tensor)


def test_a_tensor_that_is_referred_to_twice_is_kept_once() -> None:
    tensor = torch.rand(1000)
    packed = Packed.of({"a": tensor, "b": [tensor, (tensor,)]})
    assert packed.size == tensor.nbytes and len(packed.to_bytes("")) < 1.2 * tensor.nbytes


def test_a_view_takes_no_more_room_than_it_shows() -> None:
    assert len(Packed.of(torch.rand(1000, 1000)[0]).to_bytes("")) < 5000


@dataclass
class Stranger:
    value: int


@pytest.mark.parametrize("value", [Stranger(1), {1}, b"bytes", {1: "a number for a name"}, torch.float32, len])
def test_what_it_does_not_know_is_refused_by_its_place(value: object) -> None:
    with pytest.raises(TypeError, match=f"/memory/1 is a {type(value).__qualname__}, which a checkpoint cannot hold"):
        Packed.of({"memory": [0, value]})


@pytest.mark.parametrize("harm", [lambda data: b"", lambda data: data[:-1], lambda data: b"\0" * len(data)])
def test_bytes_that_are_no_checkpoint_are_unreadable(harm: Any) -> None:
    with pytest.raises(Unreadable, match="no checkpoint"):
        Packed.from_bytes(harm(Packed.of([torch.rand(3)]).to_bytes("this")), "this")


def test_a_checkpoint_of_something_else_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="it is one of that, not of this"):
        Packed.from_bytes(Packed.of([]).to_bytes("that"), "this")


def test_a_condition_comes_back_with_what_other_models_are_told() -> None:
    other = Condition({"text": torch.rand(1, 3)}, model=Companion("weak", "eps"))
    condition = Condition({"text": torch.rand(1, 2)}, {"prior": torch.rand(1)}, ("a", "b"), elsewhere={"weak": other})
    back = through_bytes(condition)
    assert repr(back) == repr(condition)
