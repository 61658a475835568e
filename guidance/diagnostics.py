"""Numbers and pictures of a trajectory: kept on the device as it runs, moved to the host together, and seldom."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from guidance.album import Album
from guidance.measures import MEASURED, Evaluation, measured
from guidance.pictures import Frame, Picture
from guidance.plan import Call
from guidance.prediction import Prediction, widest

if TYPE_CHECKING:
    from torch import Tensor

Detail = Literal["off", "summary", "full"]

UNITS = {
    "step": "step number, from 0",
    "call": "evaluation within the step, from 0",
    "repeat": "how often the step was taken before",
    "t": "the network's own time",
    "sigma": "noise level sigma / alpha",
    "log_snr": "ln(alpha^2 / sigma^2)",
    "weight": "guidance weight; 1 where guidance is off",
    "nfe": "network evaluations",
    "cond_norm": "Euclidean norm of the conditional noise prediction",
    "uncond_norm": "Euclidean norm of the unconditional noise prediction",
    "guided_norm": "Euclidean norm of the guided noise prediction",
    "difference_norm": "Euclidean norm of conditional minus unconditional noise prediction",
    "cosine": "cosine between conditional and unconditional noise prediction",
    "guided_to_cond": "guided_norm / cond_norm",
    "denoised_min": "smallest value of the denoised estimate",
    "denoised_max": "largest value of the denoised estimate",
    "denoised_std": "standard deviation of the denoised estimate",
    "clipped_fraction": "share of the denoised estimate beyond the model's data bound",
    "effective_weight": "CFG weight that the method comes to at this evaluation",
    "log_posterior": "FBG's running estimate of ln p(condition | x)",
    "autoguidance_norm": "Euclidean norm of what autoguidance adds, in the network's own output",
    "pag_norm": "Euclidean norm of what PAG adds, in the network's own output",
    "sag_norm": "Euclidean norm of what SAG adds, in noise predictions",
    "seg_norm": "Euclidean norm of what SEG adds, in the network's own output",
    "skip_layer_norm": "Euclidean norm of what skip-layer guidance adds, in the network's own output",
    "tsg_norm": "Euclidean norm of what TSG adds, in the network's own output",
    "threshold": "threshold applied to the denoised estimate",
    "weight_factor_min": "smallest factor on the weight over the picture",
    "weight_factor_max": "largest factor on the weight over the picture",
    "cads_gamma": "share of the condition that CADS leaves",
    "characteristic_iterations": "iterations of Characteristic Guidance's fixed point",
    "characteristic_residual": "what they left, in units of x / alpha; CFG where that is above the tolerance",
    "loss": "what an energy descends, at the guided denoised estimate",
    "loss_gradient_norm": "Euclidean norm of its gradient, in x, or in the denoised estimate for MPGD",
    "loss_shift_norm": "Euclidean norm of how far it moves x after the step",
    "class_log_probability": "ln p(classes | x), by the model's noise-aware classifier",
    "milliseconds": "wall time of the batched evaluations it took part in",
    "batch_rows": "rows in those batches, mean",
}
"""Every column with its meaning. A value is null where the quantity is not defined at that evaluation."""

AT_ONCE = 8
"""Evaluations that are measured together: their predictions are kept until then."""


@dataclass
class Cost:
    """What the evaluations of a call cost. Time and batches are the driver's to measure; zero where it does not."""

    evaluations: int = 0
    seconds: float = 0.0
    rows: int = 0
    batches: int = 0

    def add(self, seconds: float, rows: int) -> None:
        self.seconds += seconds
        self.rows += rows
        self.batches += 1

    @property
    def mean_rows(self) -> float:
        return self.rows / self.batches if self.batches else math.nan


class Diagnostics:
    """One trajectory's numbers and, in `full`, its pictures. `off` gathers nothing."""

    def __init__(self, detail: Detail, data_bound: float) -> None:
        self.detail = detail
        self.data_bound = data_bound
        self._rows: list[dict[str, float]] = []
        """Of the evaluations whose numbers are on the host already; the next four are of those after them."""
        self._host: list[dict[str, float]] = []
        self._seen: list[Evaluation] = []
        """Not measured yet."""
        self._device: list[Tensor] = []
        self._notes: list[dict[str, Any]] = []
        self._album = Album()

    def record(
        self, call: Call, seen: dict[str, Prediction], guided: Prediction, notes: dict[str, Any], cost: Cost
    ) -> None:
        """Note one evaluation: queues small kernels, waits for nothing."""
        if self.detail == "off":
            return
        level = call.level
        self._host.append(
            {"step": call.step, "call": call.within, "t": level.t, "sigma": level.ratio, "log_snr": level.log_snr}
            | ({"repeat": call.repeat} if call.repeated else {})
            | {"weight": 1.0 if call.weight is None else call.weight, "nfe": cost.evaluations}
            | {"milliseconds": 1000 * cost.seconds, "batch_rows": cost.mean_rows}
        )
        self._notes.append(dict(notes))
        self._seen.append(Evaluation(seen.get("cond"), seen.get("uncond"), guided))
        if len(self._seen) == AT_ONCE:
            self._measure()

    def keep(self, call: Call, pictures: Mapping[str, Picture]) -> None:
        """Keep what a step's first evaluation left."""
        if self.detail == "full" and call.within == call.repeat == 0:
            self._album.keep(call.step, call.level.ratio, pictures)

    def pictures(self) -> dict[str, list[Frame]]:
        """The pictures over the steps, by name; the only transfer of theirs from the device."""
        return self._album.frames()

    def _measure(self) -> None:
        """Of the evaluations that are still to be measured."""
        if self._seen:
            self._device.append(measured(self._seen, self.data_bound))
            self._seen = []

    def columns(self) -> dict[str, list[float | None]]:
        """One list per column, an entry per evaluation."""
        rows = [row | _compared(row) for row in self._gathered()]
        used = [name for name in UNITS if any(name in row for row in rows)]
        return {name: [_finite(row.get(name, math.nan)) for row in rows] for name in used}

    def state(self) -> dict[str, Any]:
        """What `restore` reads, for a trajectory that goes on elsewhere."""
        rows = self._gathered()
        names = dict.fromkeys(name for row in rows for name in row)
        return {"rows": {name: [row.get(name) for row in rows] for name in names}, "album": self._album.strips}

    def restore(self, state: dict[str, Any]) -> None:
        columns = state["rows"]
        rows = (zip(columns, values, strict=True) for values in zip(*columns.values(), strict=True))
        self._rows = [{name: value for name, value in row if value is not None} for row in rows]
        self._album.strips = state["album"]

    def _gathered(self) -> list[dict[str, float]]:
        """All numbers, on the host; the only transfer of theirs from the device."""
        if self._host:
            import torch

            noted = [value for notes in self._notes for value in notes.values() if isinstance(value, torch.Tensor)]
            self._measure()
            gathered = [
                *(widest(numbers).flatten() for numbers in self._device),
                *(widest(value).reshape(1) for value in noted),
            ]
            numbers = iter(torch.cat(gathered).cpu().tolist())
            rows = [host | {name: next(numbers) for name in MEASURED} for host in self._host]
            for row, notes in zip(rows, self._notes, strict=True):
                for name, value in notes.items():
                    row[name] = next(numbers) if isinstance(value, torch.Tensor) else float(value)
            self._rows += rows
            self._host, self._device, self._notes = [], [], []
        return self._rows


def _compared(row: dict[str, float]) -> dict[str, float]:
    return {
        "cosine": _ratio(row["dot"], row["cond_norm"] * row["uncond_norm"]),
        "guided_to_cond": _ratio(row["guided_norm"], row["cond_norm"]),
    }


def summary(columns: dict[str, list[float | None]]) -> dict[str, float | None]:
    """A handful of numbers for a whole trajectory: totals, means over the steps, and the last denoised estimate."""
    if not columns:
        return {}
    means = ("weight", "cosine", "difference_norm", "guided_to_cond", "milliseconds", "batch_rows")
    lasts = ("denoised_min", "denoised_max", "denoised_std", "clipped_fraction")
    return (
        {"nfe": sum(value or 0 for value in columns["nfe"])}
        | {f"{name}_mean": _mean(columns[name]) for name in means}
        | {f"{name}_last": columns[name][-1] for name in lasts}
    )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _ratio(above: float, below: float) -> float:
    return above / below if below else math.nan


def _finite(value: float) -> float | None:
    """JSON knows no NaN and no infinity."""
    return value if math.isfinite(value) else None
