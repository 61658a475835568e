"""Stable Diffusion 1.x and 2.x pipelines in the diffusers folder layout: a UNet, a CLIP text encoder and a VAE."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor
from torch.nn import Module

from guidance.info import Family, ModelInfo
from guidance.models import time_embedding
from guidance.models.attention import Rows, install
from guidance.models.base import answered
from guidance.models.classifier import FOLDER, NoisyClassifier
from guidance.models.cores import Cores
from guidance.models.execution import Execution, Padded
from guidance.models.graphs import Inputs
from guidance.models.invariance import make_batch_invariant, padded
from guidance.noise import Level, NoiseTable
from guidance.pictures import END, PADDING, START
from guidance.prediction import Kind
from guidance.protocol import Branch, Condition, TimeNoise

KINDS: dict[str, Kind] = {"epsilon": "eps", "v_prediction": "v", "sample": "denoised"}
LATENT_BOUND = 4.0
"""Latents are scaled to about unit variance; values beyond four deviations are counted as clipped."""


def fingerprint(network: Module) -> str:
    """Names the weights of a network. Autoencoders with the same encoder have the same latents."""
    digest = sha256()
    for parameter in network.parameters():
        digest.update(parameter.detach().to("cpu", torch.float16).contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def asks(branch: Branch) -> bool:
    """Whether the branch wants more than the network's output: a change of its attention or time, or a gradient."""
    return bool(branch.attention) or branch.time_noise is not None or branch.pull is not None


class StableDiffusion:
    """One pipeline folder. Samples are float32 latents; the network computes in its own dtype."""

    family: ClassVar[Family] = "stable_diffusion"
    pipeline: ClassVar[Any] = StableDiffusionPipeline
    unused: ClassVar[Mapping[str, Any]] = {"safety_checker": None, "requires_safety_checker": False}
    """What the pipeline need not load."""

    def __init__(
        self,
        pipeline: Any,
        id: str,
        device: torch.device,
        classifier: NoisyClassifier | None = None,
        execution: Execution | None = None,
    ) -> None:
        pipeline.to(device)
        self.tokenizer, self.text_encoder = pipeline.tokenizer, pipeline.text_encoder.eval()
        self.unet = pipeline.unet.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.vae = pipeline.vae.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        make_batch_invariant(self.unet)
        self.classifier = None if classifier is None else classifier.eval().requires_grad_(False).to(device)
        if self.classifier is not None:
            make_batch_invariant(self.classifier)
        self.layers = install(self.unet)
        time_embedding.install(self.unet)
        self.coarsest = 2 ** (len(self.unet.config.block_out_channels) - 1)
        self.unet_dtype, self.vae_dtype = self.unet.dtype, self.vae.dtype  # each asking walks every layer: 1 ms
        self.device, self.dtype = device, torch.float32
        self.execution = execution or Execution()
        self.plain = self.execution.of(self._network, device)
        """The network for rows that ask nothing of it."""
        # latents have no range to clip to: DDIM's default is for pixels, and folders with another scheduler do not say
        self.scheduler_config: dict[str, Any] = {"clip_sample": False} | dict(pipeline.scheduler.config)
        self.factor: int = pipeline.vae_scale_factor
        self._cores = Cores()
        self.decodes_at_once = 4 if device.type == "cuda" else 1  # on a CPU several take as long as one by one
        self.info = self._describe(id)

    @classmethod
    def load(
        cls, source: str | Path, id: str, device: torch.device, dtype: torch.dtype, execution: Execution | None = None
    ) -> Self:
        """Load a folder, or a hub id; a folder's `classifier/` too. Raises OSError or ValueError naming the file that is missing or broken."""
        # Weights are safetensors: others are pickle, which can run code. Nor is code in the folder run.
        safe = {"use_safetensors": True, "low_cpu_mem_usage": False}
        pipeline = cls.pipeline.from_pretrained(source, dtype=dtype, trust_remote_code=False, **cls.unused, **safe)
        pipeline.set_progress_bar_config(disable=True)
        folder = Path(source) / FOLDER
        classifier = None
        if folder.is_dir():  # float32 whatever the pipeline's: its gradients are small
            classifier = NoisyClassifier.from_pretrained(folder, dtype=torch.float32, **safe)
        return cls(pipeline, id, device, classifier, execution)

    def _describe(self, id: str) -> ModelInfo:
        config, unet = self.scheduler_config, self.unet.config
        table = {name: config[name] for name in NoiseTable.model_fields if config.get(name) is not None}
        modules = (self.unet, self.vae, *self.text_encoders)
        size = int(unet.sample_size) * self.factor
        capabilities = {"null_condition", "condition_embedding", "time_embedding", "attention"}
        capabilities |= {"classifier"} if self.classifier else set()
        return ModelInfo(
            id=id,
            family=self.family,
            condition="text",
            width=size,
            height=size,
            size_multiple=self.factor * 2 ** (len(unet.block_out_channels) - 1),
            max_size=4 * size,
            data="latent",
            data_bound=LATENT_BOUND,
            capabilities=frozenset(capabilities),
            layers=self.layers,
            classes=self.classifier.classes if self.classifier else (),
            prediction_type=KINDS[config.get("prediction_type", "epsilon")],
            noise=NoiseTable(**table),
            sample_space=f"latents of autoencoder {fingerprint(self.vae.encoder)} x {self.vae.config.scaling_factor}",
            parameters=sum(parameter.numel() for module in modules for parameter in module.parameters()),
            max_prompt_tokens=self.tokenizer.model_max_length,
        )

    def shape(self, width: int, height: int) -> tuple[int, ...]:
        return (1, self.unet.config.in_channels, height // self.factor, width // self.factor)

    @torch.no_grad()
    def encode(self, prompt: str | None) -> Condition:
        tokens = self._tokens(self.tokenizer, prompt or "")
        embedding = self.text_encoder(tokens.to(self.device))[0]
        return Condition(embeddings={"text": embedding}, words=self._words(tokens[0].tolist()))

    def _tokens(self, tokenizer: Any, prompt: str) -> Tensor:
        """Their ids (1, L), cut or filled up to the length that the network takes."""
        length = tokenizer.model_max_length
        ids: Tensor = tokenizer(
            prompt, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        ).input_ids
        return ids

    def _words(self, ids: list[int]) -> tuple[str, ...]:
        """What each token says: a word or a piece of one, and the names of those around the text."""
        end = ids.index(self.tokenizer.eos_token_id)
        text = (self.tokenizer.decode([id]).strip() for id in ids[1:end])
        return (START, *text, END, *[PADDING] * (len(ids) - end - 1))

    @property
    def text_encoders(self) -> Sequence[Module]:
        return (self.text_encoder,)

    def label(self, index: int) -> Condition:
        raise ValueError(f"label = {index}: {self.info.id} is conditioned on text")

    def batch_key(self, branch: Branch) -> Hashable:
        apart = self.execution.apart(self.device) and asks(branch)
        return (tuple(branch.x.shape), tuple(branch.cond.embeddings["text"].shape), branch.pull is None, apart)

    def evaluate(self, branches: Sequence[Branch]) -> list[Tensor]:
        if self.device.type != "cpu":
            return self._forward(branches)
        singly = branches[0].pull is not None
        return self._cores.shared(self._forward, branches, self.batch_key(branches[0]), singly=singly)

    @torch.no_grad()
    def _forward(self, branches: Sequence[Branch]) -> list[Tensor]:
        inputs = self._inputs(branches)
        output = self._asked_output(inputs, branches) if any(map(asks, branches)) else self.plain(inputs)
        rows: list[Tensor] = list(torch.split(output.to(self.dtype, memory_format=torch.contiguous_format), 1))
        return rows

    def _inputs(self, branches: Sequence[Branch]) -> dict[str, Tensor]:
        x = torch.cat([branch.x for branch in branches])
        t = torch.tensor([branch.level.t for branch in branches], dtype=torch.float32)
        text = torch.cat([branch.cond.embeddings["text"] for branch in branches])
        return {
            "x": x.to(self.unet_dtype, memory_format=torch.channels_last),
            "t": t.to(self.device, non_blocking=True),
            "text": text.to(self.unet_dtype),
        }

    def _network(self, inputs: Inputs, rows: Rows | None = None, noise: Sequence[TimeNoise | None] = ()) -> Tensor:
        """The network's output (N, C, H, W) for N rows of inputs, and what some of them ask of it."""
        output: Tensor = self.unet(
            inputs["x"],
            inputs["t"],
            encoder_hidden_states=inputs["text"],
            timestep_cond=noise or None,
            cross_attention_kwargs=None if rows is None else {"rows": rows},
            added_cond_kwargs=self._added(inputs),
            return_dict=False,
        )[0]
        return output

    def _added(self, inputs: Inputs) -> dict[str, Tensor] | None:
        """What the network is told beside the text."""
        return None

    def _asked_output(self, inputs: Inputs, branches: Sequence[Branch]) -> Tensor:
        """The output or the gradient, where some rows ask more than a plain evaluation."""
        asked, noise = self._asked(branches), [branch.time_noise for branch in branches]
        run = Padded(lambda inputs: self._network(inputs, asked, noise), self.execution.sizes.padded)
        output = answered(lambda x: run({**inputs, "x": x}), inputs["x"], branches)
        if asked is not None:
            asked.check()
        return output

    def _asked(self, branches: Sequence[Branch]) -> Rows | None:
        """What the rows ask of the network's attention; None where none does."""
        if not any(branch.attention for branch in branches):
            return None
        _, _, height, width = branches[0].x.shape
        return Rows([branch.attention for branch in branches], (height, width), self.coarsest)

    def log_probability(self, x: Tensor, level: Level, classes: Sequence[int]) -> Tensor:
        if self.classifier is None:
            raise ValueError(f"{self.info.id} has no classifier")
        rows = padded(x.float().contiguous())  # channels_last rows would depend on their batch
        t = torch.full((len(rows),), level.t, dtype=torch.float32, device=self.device)
        log: Tensor = self.classifier(rows, t)
        return log[: len(x), list(classes)].sum(1)

    @torch.no_grad()
    def encode_picture(self, pixels: Tensor) -> Tensor:
        pixels = pixels.to(self.device, self.vae_dtype)
        posterior = self._cores.whole(lambda: self.vae.encode(pixels, return_dict=False)[0])
        sample: Tensor = posterior.mode() * self.vae.config.scaling_factor
        return sample.to(self.dtype, memory_format=torch.contiguous_format)

    def decode(self, sample: Tensor) -> Tensor:
        latents = (sample / self.vae.config.scaling_factor).to(self.vae_dtype)
        pixels: Tensor = self._cores.whole(lambda: self.vae.decode(latents, return_dict=False)[0])
        return pixels.float() / 2 + 0.5
