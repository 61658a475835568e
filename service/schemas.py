"""What the service answers. Enumerations are open strings here: a client must not fail when a value is added."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from guidance.info import ModelInfo
from jobs.record import TERMINAL, Status
from service.problems import Problem

OpenStatus = Annotated[str, Field(json_schema_extra={"x-extensible-enum": [status.value for status in Status]})]


class Progress(BaseModel):
    step: int = Field(description="steps done, of the image that is least far")
    steps: int
    nfe_done: int = Field(description="network evaluations done, all images together")
    nfe_total: int
    eta_seconds: float | None = Field(
        description="predicted until the end; null once it has ended, and while no worker has shown its speed"
    )
    queue_position: int | None = Field(description="generations ahead in the queue; null unless queued")


class ResolvedRequest(BaseModel):
    """The request with every default filled in: posting it again makes the same images."""

    model: str
    prompt: str | None
    label: int | None
    negative_prompt: str
    n: int
    seed: int
    width: int
    height: int
    sampler: dict[str, Any] = Field(description="as in the request")
    guidance: dict[str, Any] = Field(description="as in the request")
    source: dict[str, Any] | None = Field(description="as in the request")
    output: dict[str, Any] = Field(description="as in the request")
    diagnostics: str
    priority: str
    webhook: dict[str, Any] | None = Field(None, description="as in the request")
    metadata: dict[str, str]


class Image(BaseModel):
    index: int
    url: str
    seed: int = Field(description="alone it reproduces this image, as image 0")
    sha256: str = Field(description="of the stored bytes")
    width: int
    height: int


class DiagnosticsLink(BaseModel):
    url: str
    summary: dict[str, Any] | None = Field(description="null until the generation succeeded")


class JobUsage(BaseModel):
    nfe: int = Field(description="network evaluations that were run")
    queue_seconds: float | None
    run_seconds: float | None
    mean_batch_rows: float | None = Field(description="rows in the batches it took part in, mean")


class Links(BaseModel):
    self: str
    cancel: str
    events: str
    diagnostics: str


class WebhookDelivery(BaseModel):
    """What became of a webhook so far."""

    state: Annotated[str, Field(json_schema_extra={"x-extensible-enum": ["pending", "delivered", "failed"]})] = Field(
        description="failed: it was given up"
    )
    attempts: int = Field(description="0 until it has ended")
    last_attempt_at: datetime | None
    last_status: int | None = Field(description="HTTP status of the last answer; null when there was none")
    last_error: str | None = Field(description="http_status, gone, timeout, unreachable, refused_address, ...")
    next_attempt_at: datetime | None = Field(description="null when there is none")


class Generation(BaseModel):
    """A generation as it stands."""

    id: str = Field(description="UUID version 7; later ones sort after earlier ones")
    object: Literal["generation"]
    status: OpenStatus
    status_reason: str | None = Field(description="user, deadline, worker_lost, out_of_memory, non_finite, ...")
    progress: Progress
    request: ResolvedRequest
    images: list[Image]
    diagnostics: DiagnosticsLink | None = Field(description="null when they were turned off")
    usage: JobUsage
    attempts: int
    error: Problem | None
    webhook: WebhookDelivery | None = Field(None, description="null where none was asked for")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None = Field(description="until when images and diagnostics are kept")
    links: Links


class WebhookPayload(BaseModel):
    """What is posted to a webhook, signed as Standard Webhooks says."""

    type: str = Field(
        description="what happened",
        json_schema_extra={"x-extensible-enum": [f"generation.{status}" for status in sorted(TERMINAL)]},
    )
    timestamp: datetime = Field(description="when it happened")
    data: Generation = Field(description="as it ended; without `webhook`, and without the request's pictures")


class GenerationList(BaseModel):
    """A page of generations, newest first."""

    data: list[Generation]
    next_cursor: str | None = Field(description="`after` of the next page")
    has_more: bool


class DiagnosticsPicture(BaseModel):
    """A map over the latent's cells that a method left, drawn over the steps."""

    name: str
    meaning: str = Field(description="what its cells show, in words")
    url: str = Field(description="the bytes: a PNG")
    steps: list[int] = Field(description="those it shows, evenly chosen from the first to the last that have one")
    sha256: str = Field(description="of the stored bytes")
    width: int
    height: int


class DiagnosticsImage(BaseModel):
    index: int
    seed: int
    summary: dict[str, Any]
    columns: dict[str, list[float | None]] = Field(
        default_factory=dict, description="one value per network call; null where undefined; only for `full`"
    )
    pictures: list[DiagnosticsPicture] = Field(
        default_factory=list, description="what methods saw, by name; only for `full`, and of methods that leave some"
    )


class Diagnostics(BaseModel):
    """What was measured at each step."""

    images: list[DiagnosticsImage]
    units: dict[str, str] = Field(description="what each column means")


class PlannedStep(BaseModel):
    """One call of the guided network."""

    step: int = Field(description="from 0")
    call: int = Field(description="evaluation within the step, from 0")
    t: float = Field(description="the network's own time")
    sigma: float | None = Field(description="sigma / alpha; null where it is infinite")
    log_snr: float | None = Field(description="ln(alpha^2 / sigma^2); null where it is infinite")
    weight: float | None = Field(description="null where guidance is off")
    nfe: int = Field(description="network evaluations")


class Prediction(BaseModel):
    """What it would take on a live worker that does nothing else."""

    nfe: int = Field(
        description="network evaluations: fewer than planned where methods that decide on the way took fewer"
    )
    seconds: float | None = Field(
        description="from its start until its image is stored; null while no worker has run the model"
    )


class Validation(BaseModel):
    """What a guidance spec comes to on a model, for one image."""

    model: str
    sampler: dict[str, Any] = Field(description="every default filled in")
    guidance: dict[str, Any] = Field(description="every default filled in")
    steps: list[PlannedStep]
    nfe: int = Field(description="network evaluations planned in all")
    nfe_is_bound: bool = Field(description="whether that is the most there can be, since a method decides on the way")
    cfg_nfe: int = Field(description="what plain classifier-free guidance takes on the same steps")
    saving: float = Field(description="share of those that this spec does not need; negative when it needs more")
    predicted: Prediction = Field(description="for one image of the model's own size")
    warnings: list[str]


class Method(BaseModel):
    """One method of a stage."""

    type: str
    summary: str
    details: str = Field(description="the formula, and what is particular")
    paper: str
    requires: list[str] = Field(description="capabilities that the model must have")
    neutral: str = Field(description="the setting that changes nothing; empty where there is none")
    schema_: dict[str, Any] = Field(alias="schema", description="JSON Schema of its fields")
    space: str | None = Field(None, description="parameterisation that its formula works on")
    default_schedule: dict[str, Any] | None = None
    evaluations_per_step: int | None = None
    karras: bool | None = None


class PresetEntry(BaseModel):
    name: str
    summary: str
    paper: str
    guidance: dict[str, Any]


class Catalogue(BaseModel):
    """Everything there is to ask for, by stage."""

    schedule: list[Method]
    condition: list[Method]
    combiner: list[Method]
    perturbation: list[Method]
    energy: list[Method]
    loss: list[Method] = Field(description="what energies descend")
    travel: list[Method]
    correction: list[Method]
    reuse: list[Method]
    sampler: list[Method]
    presets: list[PresetEntry]


class ServedModel(BaseModel):
    """A model that live workers serve now."""

    id: str
    family: str
    condition: str = Field(description="text or label: what a request says to it")
    labels: list[str] | None
    width: int = Field(description="pixels of an image when the request does not say")
    height: int
    size_multiple: int
    max_size: int
    data: str = Field(description="latent or pixel: what is denoised")
    capabilities: list[str]
    layers: list[str] = Field(description="its attention layers, for methods that work on chosen ones")
    classes: list[str] = Field(description="names that its noise-aware classifier tells apart")
    prediction_type: str
    parameters: int
    max_prompt_tokens: int | None
    sample_space: str = Field(description="models of one sample space may guide each other")
    sigma_min: float = Field(description="smallest sigma / alpha of its noise table")
    sigma_max: float | None = Field(description="largest; null where it is infinite")
    workers: int = Field(description="live workers that serve it")
    object: Literal["model"] = Field("model", description="for OpenAI's clients, as are `created` and `owned_by`")
    created: int = Field(0, description="0: not known")
    owned_by: str = "guidepost"

    @classmethod
    def of(cls, info: ModelInfo, workers: int) -> ServedModel:
        ratios = info.noise.ratios
        largest = float(ratios[-1])
        shown = info.model_dump(mode="json", exclude={"noise"}) | {"capabilities": sorted(info.capabilities)}
        finite = None if largest == float("inf") else largest
        return cls(**shown, sigma_min=float(ratios[0]), sigma_max=finite, workers=workers)


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ServedModel]


class Check(BaseModel):
    ok: bool
    detail: str


class Readiness(BaseModel):
    """Whether a generation that is posted now would be run."""

    ready: bool
    checks: dict[str, Check]
