"""What a sweep asks for: a YAML file as data, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from evaluation.claim import Claim
from evaluation.metric import Named
from evaluation.signs import SCENE, asks
from guidance.asked import Asked
from guidance.samplers import DDIM
from jobs.request import MAX_SEED
from training.scenes import Combinations

Size = Literal["quick", "full"]
SIZES: tuple[Size, ...] = get_args(Size)


class SweepProblems(ValueError):
    """A sweep that cannot be run; a line for each place in it."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = tuple(lines)


class Counts(Asked):
    """How many, at each size of a report."""

    quick: int = Field(ge=8, le=1_000_000)
    full: int = Field(ge=8, le=1_000_000)

    def at(self, size: Size) -> int:
        return self.quick if size == "quick" else self.full


class DrawnCaptions(Asked):
    """True captions of scenes drawn as the model's training scenes are."""

    draw: Literal["all", "single", "pair"] = Field(
        "all", description="scenes as in training; those with one thing; those with two"
    )
    seed: int = Field(20_261_101, ge=0, le=MAX_SEED, description="of scenes and captions; not the images' seeds")
    combinations: Combinations = Field(
        "seen", description="of shape and colour: those of training, those held out of it, all"
    )


class Curve(Asked):
    """One guidance spec, or one for each value of what varies. What it leaves out is as in the sweep."""

    name: str = Field(min_length=1, max_length=80)
    model: str | None = Field(None, description="one of `models`; null: the first")
    guidance: dict[str, Any] = Field(default_factory=dict, description="a guidance spec")
    sampler: dict[str, Any] | None = None
    negative_prompt: str = ""
    weight: list[float] | None = Field(None, min_length=1, description="short for vary: /guidance/schedule/weight")
    vary: dict[str, list[Any]] = Field(
        default_factory=dict, description="JSON pointer under /guidance or /sampler -> values; all combinations"
    )
    source: dict[str, Any] | None = Field(
        None,
        description=f"a picture to begin from; {SCENE} as its image is that of the scene the caption was drawn from",
    )
    judged_by: str | None = Field(None, description="the caption to judge by, where that is not the one asked for")

    @model_validator(mode="after")
    def _one_weight(self) -> Self:
        if self.weight is not None and WEIGHT in self.vary:
            raise ValueError(f"weight is short for vary: {WEIGHT}, which is there too: keep one")
        return self

    @property
    def grid(self) -> dict[str, list[Any]]:
        """What varies, by JSON pointer."""
        return self.vary | ({WEIGHT: list(self.weight)} if self.weight is not None else {})


WEIGHT = "/guidance/schedule/weight"


class Plot(Asked):
    """One metric against another, or along what the curves vary over; the points of each curve joined in order."""

    x: Named | None = Field(None, description="null: what the curves vary over, which is the same for all")
    y: Named


def _listed(plots: Any) -> Any:
    return [plots] if isinstance(plots, dict) else plots


class Sweep(Asked):
    """Points to measure: the same captions and seeds at each of them."""

    name: str = Field(min_length=1, max_length=80, pattern=r"^[\w-]+$")
    about: str = ""
    models: dict[str, str] = Field(
        default_factory=lambda: {"shapes": "shapes"},
        min_length=1,
        description="id -> the name of a shipped model, or a folder; the first is sampled unless a point names another",
    )
    classifier: str | None = Field(
        None,
        description="a shipped model, or a folder, whose `features/` the metrics look with; null: the first model's",
    )
    captions: DrawnCaptions | list[str] = Field(
        default_factory=DrawnCaptions, description="drawn, or a list that is gone through again and again"
    )
    images: Counts = Field(default_factory=lambda: Counts(quick=200, full=2_000), description="at each point")
    reference: Counts = Field(
        default_factory=lambda: Counts(quick=2_000, full=10_000), description="real pictures to compare with"
    )
    seed: int = Field(1_000_000, ge=0, le=MAX_SEED, description="of the first image; image k has seed + k")
    sampler: dict[str, Any] = Field(default_factory=lambda: {"type": DDIM.type_name()})
    points: list[Curve] = Field(min_length=1)
    baseline: str | None = Field(None, description="name of the point that the others are compared with, pair by pair")
    claim: Claim | None = Field(None, description="what a paper expects of the points")
    show: list[str] | None = Field(None, description="the points on the contact sheet, in order; null: all")
    plot: Annotated[list[Plot], BeforeValidator(_listed)] = Field(
        default_factory=list, description="what is traded for what: a plot, or several; empty: the usual ones"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.captions == []:
            raise ValueError("captions = []: at least one is needed")
        if (last := self.seed + self.images.full - 1) > MAX_SEED:
            raise ValueError(f"seed = {self.seed} with images.full = {self.images.full}: {last} would pass {MAX_SEED}")
        for curve in self.points:
            if curve.model is not None and curve.model not in self.models:
                known = ", ".join(self.models)
                raise ValueError(f"points: {curve.name}: model = {curve.model!r}: models names {known}")
            if isinstance(self.captions, list) and asks((curve.source, curve.guidance), SCENE):
                raise ValueError(f"points: {curve.name}: {SCENE}: captions is a list, and a listed one has no scene")
        return self


def read_sweep(path: Path) -> Sweep:
    """The sweep in a file. Raises SweepProblems, which name each field, its value and the bound."""
    try:
        tree = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SweepProblems([f"{path} cannot be read: {error}"]) from error
    try:
        return Sweep.model_validate(tree)
    except ValidationError as error:
        raise SweepProblems([f"{path}: {line}" for line in lines(error)]) from error


def lines(error: ValidationError, place: str = "") -> Iterator[str]:
    """One for each thing wrong: where, what, and the value that was given."""
    for problem in error.errors(include_url=False):
        where = "/".join([*([place] if place else []), *map(str, problem["loc"])])
        given = "" if problem["type"] in ("missing", "value_error") else f", not {_short(problem['input'])}"
        yield f"{where or 'the whole'}: {problem['msg'].removeprefix('Value error, ')}{given}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
