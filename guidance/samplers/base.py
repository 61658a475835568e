"""What every sampler is: a solver, its step count and its noise grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field

from guidance.noise import Level, NoiseTable
from guidance.prediction import Prediction
from guidance.samplers.grid import Spacing, at_times, spaced
from guidance.stage import Stage

if TYPE_CHECKING:
    from torch import Generator, Tensor


class StepSolver(Protocol):
    """Takes the steps of one trajectory. The sample lives in its own scale."""

    def start(self, noise: Tensor) -> Tensor:
        """The sample that standard normal `noise` stands for at the first level."""
        ...

    def network_input(self, sample: Tensor, call: int) -> Tensor:
        """x = alpha * x0 + sigma * eps at the level of `call`."""
        ...

    def kept(self, call: int) -> float | None:
        """Share of the predicted noise that this step keeps; None where it is not of first order."""
        ...

    def advance(
        self, sample: Tensor, guided: Prediction, call: int, generator: Generator, uncond: Prediction | None = None
    ) -> Tensor:
        """The sample after `call`. Draws noise from `generator` where the solver is stochastic.

        uncond: whose noise is put back beside the guided denoised estimate, where it is not the guided one's.
        """
        ...

    def state(self) -> dict[str, Any]:
        """What it carries from call to call."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Carry on with the `state` of another of the same sampler and model; nothing changes where that is empty."""
        ...


class Sampler(Stage):
    """How the steps are taken: with one diffusers scheduler per trajectory, unless it makes a solver of its own."""

    solver: ClassVar[str] = ""
    """Name of the diffusers scheduler class; empty for a sampler with a solver of its own."""
    karras: ClassVar[bool] = False
    """Whether Karras' spacing is defined for it."""
    zero_snr: ClassVar[bool] = True
    """Whether it runs on a noise table that ends at zero signal."""
    renoises: ClassVar[bool] = False
    """Whether its steps can put back the noise of another prediction than the guided one (`shift`)."""
    calls_per_step: ClassVar[int] = 1
    movable: ClassVar[bool] = True
    """Whether x may be moved between steps: whether its next step begins at what it is given."""

    steps: int = Field(30, ge=1, le=250)
    spacing: Spacing | None = Field(None, description="null is the model's own spacing")

    def resolved_spacing(self, table: NoiseTable) -> Spacing | None:
        """What `spacing` comes to on a model; None for a grid that has none to choose."""
        return self._spacing(table)

    def _spacing(self, table: NoiseTable) -> Spacing:
        return self.spacing or table.timestep_spacing

    def levels(self, table: NoiseTable) -> list[Level]:
        """The noise level of each call of the network, in order. Solvers on alpha_bar use whole timesteps."""
        t = spaced(self.steps, table, self._spacing(table), between=False, rounded=True)
        return at_times(t, table, exact_zero_snr=True)

    def warnings(self, table: NoiseTable) -> list[str]:
        """What a user should know of running this sampler on a model with these noise levels."""
        return []

    def scale(self, level: Level) -> float:
        """What the solver's sample at `level` is multiplied by to be x = alpha * x0 + sigma * eps."""
        return 1.0

    def make_solver(self, table: NoiseTable, scheduler_config: dict[str, Any]) -> StepSolver:
        """The solver of one trajectory. Only workers ask for it: diffusers is imported here."""
        from guidance.samplers.linear import linear_solver

        return linear_solver(self, table, scheduler_config)

    def place(self, call: int) -> tuple[int, int]:
        """(step index, evaluation within the step) of a call of the network."""
        return divmod(call, self.calls_per_step)

    def scheduler_options(self, table: NoiseTable) -> dict[str, Any]:
        """What the request changes in the scheduler configuration of the model."""
        spacing = self.resolved_spacing(table)
        if spacing == "karras":  # over the whole range of the table
            return {"use_karras_sigmas": True, "timestep_spacing": "linspace"}
        return {"use_karras_sigmas": False, "timestep_spacing": spacing}

    def step_options(self) -> dict[str, Any]:
        """What the request passes to each call of the scheduler's `step`."""
        return {}

    def kept(self, scheduler: Any, call: int) -> float | None:
        """Share of the predicted noise, in sigma / alpha, that the first-order step `call` of `scheduler` keeps."""
        return None

    def shift(self, scheduler: Any, call: int) -> float:
        """How far the sample after step `call` moves with the denoised estimate where the noise put back stays."""
        raise NotImplementedError(f"{self.type_name()} puts back no other noise than that of the guided prediction")

    @classmethod
    def catalogue_entry(cls) -> dict[str, Any]:
        return super().catalogue_entry() | {"evaluations_per_step": cls.calls_per_step, "karras": cls.karras}
