"""What a model is and can do, as data: what a worker publishes and a gateway checks requests against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from guidance.attention import unknown
from guidance.combiners import Combiner
from guidance.corrections import DynamicThreshold, StaticThreshold
from guidance.energies import Classifier, Energy
from guidance.losses import ClassName
from guidance.noise import NoiseTable
from guidance.picture import broken, misfit
from guidance.prediction import Kind
from guidance.prompted import Wanted
from guidance.samplers import AnySampler, Sampler
from guidance.spec import GuidanceSpec
from guidance.stage import Stage

Family = Literal["stable_diffusion", "stable_diffusion_xl", "gaussians"]

CAPABILITIES = {
    "null_condition": "answers without a condition, so that a weight has something to push away from",
    "condition_embedding": "its condition is a continuous embedding, which may be transformed",
    "time_embedding": "noise can be put on its embedding of the time, row by row",
    "attention": "its attention layers can be looked at and changed row by row",
    "classifier": "a noise-aware classifier of its samples",
}
"""Every capability a stage may require, with what it means."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a request: where (JSON pointer), a stable code, a sentence with the value and the bound."""

    pointer: str
    code: str
    detail: str


class ModelInfo(BaseModel):
    """One model, without its weights. Sizes are pixels."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    id: str
    family: Family
    condition: Literal["text", "label"]
    labels: tuple[str, ...] | None = None
    """Class names of a label-conditional model; a request's `label` is an index into them."""
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    size_multiple: int = Field(1, gt=0)
    max_size: int = Field(gt=0)
    data: Literal["latent", "pixel"]
    data_bound: float = Field(1.0, gt=0)
    """Denoised values beyond it count as clipped in the diagnostics: 1 for pixels."""
    capabilities: frozenset[str] = frozenset()
    layers: tuple[str, ...] = ()
    """Names of its attention layers, for methods that work on chosen ones."""
    classes: tuple[str, ...] = ()
    """Names that its noise-aware classifier tells apart."""
    prediction_type: Kind
    noise: NoiseTable
    sample_space: str = ""
    """What its samples are: models of one sample space may be asked of the same x."""
    parameters: int = Field(0, ge=0)
    max_prompt_tokens: int | None = None

    def problems(self, guidance: GuidanceSpec, sampler: AnySampler) -> list[Problem]:
        """What of this spec the model cannot run; empty when it can. Pointers are within the request."""
        return [
            *self._stage_problems(guidance),
            *self._length_problems(guidance, sampler),
            *self._sampler_problems(guidance, sampler),
            *self._zero_signal_problems(guidance, sampler),
        ]

    def size_problems(self, width: int, height: int) -> list[Problem]:
        found = []
        for name, value in (("width", width), ("height", height)):
            if value % self.size_multiple or not self.size_multiple <= value <= self.max_size:
                detail = f"{name} = {value}: {self.id} takes multiples of {self.size_multiple} up to {self.max_size}"
                found.append(Problem(f"/{name}", "unsupported_size", detail))
        return found

    def _stage_problems(self, guidance: GuidanceSpec) -> list[Problem]:
        found = []
        for pointer, stage in guidance.stages():
            for capability in sorted(stage.needed() - self.capabilities):
                if isinstance(stage, Combiner) and self._never_guided(guidance):
                    continue
                detail = f"{stage.type_name()} needs a model with {capability}, which {self.id} lacks"
                found.append(Problem(f"/guidance{pointer}/type", "missing_capability", detail))
            if isinstance(stage, StaticThreshold | DynamicThreshold) and self.data == "latent" and not stage.latent_ok:
                reason = f"{self.id} samples latents, whose range is not -{stage.bound:g} to {stage.bound:g}"
                detail = f"latent_ok = false: {reason}; set latent_ok to true and a bound that suits them"
                found.append(Problem(f"/guidance{pointer}/latent_ok", "threshold_on_latents", detail))
            if "attention" in stage.needed() & self.capabilities:
                found += self._layer_problems(pointer, getattr(stage, "layers", ()))
            for place, wanted in stage.wanted().items():
                found += self.condition_problems(f"/guidance{pointer}{place}", wanted)
            if isinstance(stage, Energy) and "classifier" in self.capabilities:
                for place, named in stage.classes().items():
                    found += self._class_problems(f"/guidance{pointer}{place}", named)
        return found

    def _class_problems(self, pointer: str, named: Sequence[ClassName]) -> list[Problem]:
        known = f"{self.id} tells apart {', '.join(self.classes)}"
        return [
            Problem(f"{pointer}/{place}", "unknown_class", f"labels = {name}: {known} (0 to {len(self.classes) - 1})")
            for place, name in enumerate(named)
            if name not in (range(len(self.classes)) if isinstance(name, int) else self.classes)
        ]

    def picture_problems(self, guidance: GuidanceSpec, width: int, height: int) -> list[Problem]:
        """What of the spec's pictures does not fit an image of this size, in pixels."""
        found = []
        for place, energy in enumerate(guidance.energy):
            for field, (url, smaller) in energy.pictures().items():
                if detail := misfit(url, width, height, smaller):
                    found.append(Problem(f"/guidance/energy/{place}{field}", "wrong_picture_size", detail))
                elif detail := broken(url):
                    found.append(Problem(f"/guidance/energy/{place}{field}", "picture", detail))
        return found

    def condition_problems(self, pointer: str, wanted: Wanted) -> list[Problem]:
        """What is wrong with a prompt or label; None, the null condition, is `null_condition`'s matter."""
        if isinstance(wanted, str) and self.condition == "label":
            return [Problem(f"{pointer}/prompt", "wrong_condition", f"{self.id} takes a label, not a prompt")]
        if isinstance(wanted, int) and self.condition == "text":
            return [Problem(f"{pointer}/label", "wrong_condition", f"{self.id} takes a prompt, not a label")]
        if isinstance(wanted, int) and self.labels is not None and wanted >= len(self.labels):
            detail = f"label = {wanted}: {self.id} has labels 0 to {len(self.labels) - 1}"
            return [Problem(f"{pointer}/label", "unknown_label", detail)]
        return []

    def _layer_problems(self, pointer: str, asked: Sequence[str]) -> list[Problem]:
        return [
            Problem(
                f"/guidance{pointer}/layers/{place}",
                "unknown_layer",
                f"layers = {name}: {self.id} has {', '.join(self.layers)}",
            )
            for place, name in enumerate(asked)
            if unknown([name], self.layers)
        ]

    def _length_problems(self, guidance: GuidanceSpec, sampler: AnySampler) -> list[Problem]:
        schedule = guidance.schedule
        if schedule.length in (None, sampler.steps):
            return []
        detail = f"{schedule.type} has {schedule.length} weights and {sampler.type} takes {sampler.steps} steps"
        return [Problem("/guidance/schedule", "wrong_length", f"{detail}: one weight a step")]

    def _zero_signal_problems(self, guidance: GuidanceSpec, sampler: AnySampler) -> list[Problem]:
        """Where alpha = 0 every noise prediction is x itself, and no v or denoised estimate follows from it."""
        if self.prediction_type == "eps" or not self.noise.rescale_betas_zero_snr:
            return []
        first = sampler.levels(self.noise)[0]
        if first.alpha:
            return []
        guided = guidance.schedule.at(0, sampler.steps, first.ratio) is not None
        stages: list[tuple[str, Stage, bool]] = []
        stages.append(("/combiner", guidance.combiner, guided and guidance.combiner.space == "eps"))
        for place, term in enumerate(guidance.perturbation):
            stages.append((f"/perturbation/{place}", term, term.space == "eps" and term.active(0, sampler.steps)))
        for place, energy in enumerate(guidance.energy):
            stages.append((f"/energy/{place}", energy, energy.active(0, sampler.steps)))
        return [
            Problem(
                f"/guidance{pointer}/type",
                "undefined_at_zero_signal",
                f"{stage.type_name()} is undefined at zero signal, where {self.id} begins with {sampler.type}",
            )
            for pointer, stage, undefined in stages
            if undefined
        ]

    def _never_guided(self, guidance: GuidanceSpec) -> bool:
        """Whether the combiner evaluates the condition alone at every step."""
        schedule = guidance.schedule
        return schedule.type == "constant" and guidance.combiner.branches(schedule.weight) == {"cond"}

    def _sampler_problems(self, guidance: GuidanceSpec, sampler: AnySampler) -> list[Problem]:
        found = []
        for reason in solver_reasons(guidance, sampler):
            found.append(Problem("/sampler/type", "unsupported_sampler", reason))
        spacing = sampler.resolved_spacing(self.noise)
        if spacing == "karras" and not sampler.karras:
            detail = f"spacing = karras is not defined for {sampler.type}"
            found.append(Problem("/sampler/spacing", "unsupported_spacing", detail))
        if spacing in ("linspace", "karras") and sampler.steps < 2:
            detail = f"steps = {sampler.steps}: spacing {spacing} needs at least 2, its two ends"
            found.append(Problem("/sampler/steps", "too_few_steps", detail))
        if sampler.steps >= self.noise.num_train_timesteps:
            detail = f"steps = {sampler.steps}: {self.id} has {self.noise.num_train_timesteps} noise levels"
            found.append(Problem("/sampler/steps", "too_many_steps", detail))
        if self.noise.rescale_betas_zero_snr and not sampler.zero_snr:
            detail = f"{sampler.type} cannot start at zero signal, where {self.id} begins"
            found.append(Problem("/sampler/type", "unsupported_sampler", detail))
        return found


def solver_reasons(guidance: GuidanceSpec, sampler: AnySampler) -> list[str]:
    """Why stages that work on the solver's step cannot work on that of `sampler`."""
    reasons = []
    methods: list[type[Sampler]] = list(get_args(get_args(AnySampler)[0]))
    if guidance.combiner.renoises and not sampler.renoises:
        able = ", ".join(method.type_name() for method in methods if method.renoises)
        reasons.append(f"{guidance.combiner.type} is defined for {able}, not for {sampler.type}")
    movable = ", ".join(method.type_name() for method in methods if method.movable and method.calls_per_step == 1)
    for energy in guidance.energy:
        if energy.moves and (not sampler.movable or sampler.calls_per_step > 1):
            reasons.append(f"{energy.type} moves x between steps of one evaluation ({movable}), not {sampler.type}'s")
        if isinstance(energy, Classifier) and energy.form == "mean" and sampler.type != "ddpm":
            reasons.append(f"form = mean is of the sampler ddpm's variance, and the sampler is {sampler.type}")
    if guidance.travel and not sampler.movable:
        reasons.append(f"{guidance.travel.type} puts noise back between steps, which {sampler.type} does not see")
    return reasons
