"""Nested values as bytes: where a trajectory stands, for another process to go on from, bit for bit.

The types are a closed list, and each is written as what it is: numbers, strings, lists, tuples, dicts with names for
keys, tensors, and the dataclasses of `guidance.memory`. Nothing is pickled: bytes from elsewhere run nothing. The form
is a safetensors file, one of whose tensors is the structure as JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from guidance.memory import REMEMBERED

PLAIN = {type(None), bool, int, float, str}
STRUCTURE = "structure"


class Unreadable(ValueError):
    """Bytes that are no checkpoint, or one of something else."""


@dataclass(frozen=True, eq=False)
class Packed:
    """A nested value on the host: its structure, ready for JSON, and the tensors that this refers to by their place.

    An object in the structure has one key, the type of what is beneath it.
    """

    structure: Any
    tensors: tuple[Tensor, ...]

    @classmethod
    def of(cls, value: Any) -> Self:
        """Waits for the device. TypeError, which names the place, for a type that is not on the list."""
        found: Found = {}
        structure = _structure(value, "", found)
        return cls(structure, tuple(tensor for _, tensor in found.values()))

    def unpacked(self, device: torch.device) -> Any:
        """The value again, its tensors where they were: on the host, or on `device`."""
        return _value(self.structure, self.tensors, device)

    @property
    def size(self) -> int:
        """Bytes of its tensors, which is nearly all of it."""
        return sum(tensor.nbytes for tensor in self.tensors)

    def to_bytes(self, label: str) -> bytes:
        """A safetensors file; `label` says what it is a checkpoint of."""
        said = json.dumps({"label": label, STRUCTURE: self.structure}, separators=(",", ":")).encode()
        dense = {str(place): _dense(tensor) for place, tensor in enumerate(self.tensors)}
        data: bytes = save(dense | {STRUCTURE: torch.frombuffer(bytearray(said), dtype=torch.uint8)})
        return data

    @classmethod
    def from_bytes(cls, data: bytes, label: str) -> Self:
        """Raises Unreadable where `to_bytes` did not make it under this label."""
        try:
            tensors = load(data)
            said = json.loads(tensors.pop(STRUCTURE).numpy().tobytes())
            written = said["label"]
            packed = cls(said[STRUCTURE], tuple(tensors[str(place)] for place in range(len(tensors))))
        except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise Unreadable(f"{len(data)} bytes are no checkpoint: {error}") from error
        if written != label:
            raise Unreadable(f"it is one of {written}, not of {label}")
        return packed


Found = dict[int, tuple[int, Tensor]]
"""Tensors on the host and their places, by the identity of the original: what is referred to twice is kept once."""


def _structure(value: Any, place: str, found: Found) -> Any:
    kind = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, Tensor):
        if id(value) not in found:
            found[id(value)] = len(found), value.detach().cpu()
        index, on_host = found[id(value)]
        return {"tensor": [index, value.device.type != "cpu", _order(on_host)]}
    if kind in (list, tuple):
        if PLAIN.issuperset(map(type, value)):  # long columns of numbers, mostly
            parts = list(value)
        else:
            parts = [_structure(part, f"{place}/{index}", found) for index, part in enumerate(value)]
        return parts if kind is list else {"tuple": parts}
    if kind is dict and all(type(name) is str for name in value):
        return {"dict": {name: _structure(part, f"{place}/{name}", found) for name, part in value.items()}}
    if REMEMBERED.get(kind.__name__) is kind:
        named = {field.name: getattr(value, field.name) for field in fields(kind)}
        return {kind.__name__: _structure(named, place, found)["dict"]}
    raise TypeError(f"{place or '/'} is a {kind.__qualname__}, which a checkpoint cannot hold: see guidance.memory")


def _value(structure: Any, tensors: tuple[Tensor, ...], device: torch.device) -> Any:
    if isinstance(structure, list):
        return [_value(part, tensors, device) for part in structure]
    if not isinstance(structure, dict):
        return structure
    [(kind, content)] = structure.items()
    if kind == "tensor":
        place, beyond, order = content
        return _laid_out(tensors[place], order).to(device if beyond else "cpu")
    if kind == "tuple":
        return tuple(_value(content, tensors, device))
    parts = {name: _value(part, tensors, device) for name, part in content.items()}
    return parts if kind == "dict" else REMEMBERED[kind](**parts)


# Sums over a tensor depend, in their last bits, on how it lies in memory.


def _order(tensor: Tensor) -> list[int] | None:
    """Its dimensions from the slowest to the fastest; None where that is how they are counted."""
    if tensor.is_contiguous():
        return None
    strides: tuple[int, ...] = tensor.stride()
    return sorted(range(tensor.ndim), key=lambda dimension: -strides[dimension])


def _dense(tensor: Tensor) -> Tensor:
    """A copy of its own, as its bytes are written: its dimensions in order."""
    order = _order(tensor)
    return (tensor if order is None else tensor.permute(order)).clone(memory_format=torch.contiguous_format)


def _laid_out(dense: Tensor, order: list[int] | None) -> Tensor:
    return dense if order is None else dense.permute([order.index(dimension) for dimension in range(dense.ndim)])
