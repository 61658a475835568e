"""What every part of a request has in common."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any, Literal, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator
from typing_extensions import TypeAliasType


class Asked(BaseModel):
    """Frozen; unknown fields are refused; a number is one, not a text or a truth value that may be read as one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_numbers(cls, given: Any) -> Any:
        """Not a validator of each field: the one that tells a union's members apart may have none."""
        if not isinstance(given, dict):
            return given
        fields = cls.model_fields
        return {
            name: _marked(value, _kinds(cast(Hashable, fields[name].annotation))) if name in fields else value
            for name, value in given.items()
        }


class _Stray:
    """Stands for what is no number where one is asked for: pydantic refuses it and shows it as it was."""

    def __init__(self, value: bool | str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return repr(self.value)


def _marked(value: Any, kinds: frozenset[type]) -> Any:
    if not kinds & {int, float}:
        return value
    if isinstance(value, list):
        return [_marked(part, kinds) for part in value]
    return _Stray(value) if isinstance(value, bool | str) and type(value) not in kinds else value


@cache
def _kinds(annotation: Hashable) -> frozenset[type]:
    """The plain types that a value may be of, or the members of a list of them."""
    if isinstance(annotation, TypeAliasType):
        return _kinds(annotation.__value__)
    if get_origin(annotation) is Literal:
        return frozenset(type(choice) for choice in get_args(annotation))
    if isinstance(annotation, type) and annotation in (bool, int, float, str):
        return frozenset({annotation})
    return frozenset().union(*(_kinds(part) for part in get_args(annotation)))
