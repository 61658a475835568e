"""What a comparison comes to: one body of a generation for each of its specs, and where each part of it came from."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from guidance.combiners import CFG, AnyCombiner
from guidance.info import Problem
from guidance.presets import PRESETS
from guidance.samplers import DDIM
from jobs.comparison_request import ComparisonRequest
from jobs.request import RequestProblems

VARIED = ("guidance", "sampler", "negative_prompt")
"""What may differ between the generations of a comparison: all that leaves their initial noise the same."""

DEFAULTS: dict[str, Any] = {
    "combiner": {"type": CFG.type_name()},
    **{stage: [] for stage in ("condition", "perturbation", "correction", "energy")},
}

Json = dict[str, Any]
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the generations to compare."""

    body: Json
    label: str | None
    """As the client named it."""
    origins: Mapping[str, str]
    """JSON pointer into `body` -> where the client wrote what is there, as a pointer into the comparison."""

    @property
    def varied(self) -> Json:
        """The part that may differ."""
        return {name: self.body[name] for name in VARIED if name in self.body}


def variants(request: ComparisonRequest) -> list[Variant]:
    """In the order in which they are shown. Raises RequestProblems where a grid's pointer leads nowhere."""
    base = request.model_dump(mode="json", exclude_unset=True, exclude={"specs", "grid", *VARIED})
    base |= {"diagnostics": request.diagnostics}
    base |= {name: getattr(request, name) for name in VARIED if name in request.model_fields_set}
    if request.grid is None:
        return [_listed(base, request, index) for index in range(request.count)]
    if problems := _grid_problems(request.grid):
        raise RequestProblems(problems)
    axes = {pointer: range(len(values)) for pointer, values in request.grid.items()}
    return [
        _combined(base, request.grid, dict(zip(axes, choice, strict=True)))
        for choice in itertools.product(*axes.values())
    ]


def _listed(base: Json, request: ComparisonRequest, index: int) -> Variant:
    assert request.specs is not None
    spec = request.specs[index]
    own = {name: getattr(spec, name) for name in VARIED if name in spec.model_fields_set}
    return Variant(base | own, spec.label, {f"/{name}": f"/specs/{index}/{name}" for name in own})


def _combined(base: Json, grid: Mapping[str, Sequence[Any]], choice: Mapping[str, int]) -> Variant:
    body = copy.deepcopy(base)
    origins = {pointer: f"/grid/{escaped(pointer)}/{index}" for pointer, index in choice.items()}
    # What a thing is comes before what it is set to: a type decides what else there is.
    for pointer in sorted(choice, key=lambda pointer: _precedence(parsed(pointer))):
        try:
            _put(body, parsed(pointer), grid[pointer][choice[pointer]])
        except LookupError as error:
            raise RequestProblems([Problem(f"/grid/{escaped(pointer)}", "no_such_place", str(error.args[0]))]) from None
    return Variant(body, None, origins)


def _precedence(path: Path) -> tuple[bool, bool, int]:
    return path[-1] != "preset", path[-1] != "type", len(path)


def _put(body: Json, path: Path, value: Any) -> None:
    """Set what is at `path`, in what the client wrote or else in what is there by default; or LookupError."""
    here: Any = body
    for depth, step in enumerate(path[:-1]):
        if isinstance(here, dict) and here.get(step) is None:
            here[step] = {} if path[depth + 1] == "type" else _default(body, path[: depth + 1])
        here = here[_step(here, path[: depth + 1])]
    here[_step(here, path)] = copy.deepcopy(value)


def _step(here: Any, path: Path) -> Any:
    """The key, or the index, that the last step of `path` is in `here`."""
    *above, step = path
    where = "".join(f"/{part}" for part in above)
    if isinstance(here, dict):
        return step
    if not isinstance(here, list):
        raise LookupError(f"{where} = {json.dumps(here)} has nothing inside it")
    if not (step.isdecimal() and int(step) < len(here)):
        raise LookupError(f"{where} has {len(here)} items, and none at {step}")
    return int(step)


def _default(body: Json, path: Path) -> Any:
    """What a request has at `path` when it does not name it."""
    if path == ("sampler",):
        return {"type": DDIM.type_name()}
    if len(path) != 2 or path[0] != "guidance":
        return {}
    stage, guidance = path[1], body["guidance"]
    named = guidance.get("preset")
    stages = PRESETS[named].guidance if isinstance(named, str) and named in PRESETS else {}
    if stage in stages:
        return copy.deepcopy(stages[stage])
    if stage == "schedule":
        return _default_schedule(guidance.get("combiner") or stages.get("combiner") or DEFAULTS["combiner"])
    return copy.deepcopy(DEFAULTS.get(stage, {}))


def _default_schedule(combiner: Any) -> Json:
    type = combiner.get("type") if isinstance(combiner, dict) else None
    methods = {method.type_name(): method for method in get_args(get_args(AnyCombiner)[0])}
    return dict(methods.get(type, CFG).default_schedule)


def _grid_problems(grid: Mapping[str, Sequence[Any]]) -> list[Problem]:
    found = []
    for pointer, values in grid.items():
        at = f"/grid/{escaped(pointer)}"
        inside = [other for other in grid if other != pointer and pointer.startswith(f"{other}/")]
        if not pointer.startswith("/") or parsed(pointer)[0] not in VARIED:
            places = ", ".join(f"/{name}" for name in VARIED)
            found.append(
                Problem(at, "invalid_pointer", f"{pointer!r}: a JSON pointer that begins with one of {places}")
            )
        elif inside:
            found.append(Problem(at, "inside_another", f"{pointer} lies inside {inside[0]}, which varies too"))
        written = [json.dumps(value, sort_keys=True) for value in values]
        found += [
            Problem(f"{at}/{index}", "repeated_value", f"{text[:80]} is there twice")
            for index, text in enumerate(written)
            if text in written[:index]
        ]
    return found


def parsed(pointer: str) -> Path:
    """The steps of a JSON pointer (RFC 6901)."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def escaped(step: str) -> str:
    """As a step of a JSON pointer."""
    return step.replace("~", "~0").replace("/", "~1")
