"""Stable Diffusion 1.x and 2.x pipelines in the diffusers folder layout: a UNet, a CLIP text encoder and a VAE."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor
from torch.nn import Module

from guidance.info import ModelInfo
from guidance.models import time_embedding
from guidance.models.attention import Rows, install
from guidance.models.base import answered
from guidance.models.classifier import FOLDER, NoisyClassifier
from guidance.models.cores import Cores
from guidance.models.invariance import make_batch_invariant, padded
from guidance.noise import Level, NoiseTable
from guidance.pictures import END, PADDING, START
from guidance.prediction import Kind
from guidance.protocol import Branch, Condition

KINDS: dict[str, Kind] = {"epsilon": "eps", "v_prediction": "v", "sample": "denoised"}
LATENT_BOUND = 4.0
"""Latents are scaled to about unit variance; values beyond four deviations are counted as clipped."""


def fingerprint(network: Module) -> str:
    """Names the weights of a network. Autoencoders with the same encoder have the same latents."""
    digest = sha256()
    for parameter in network.parameters():
        digest.update(parameter.detach().to("cpu", torch.float16).contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


class StableDiffusion:
    """One pipeline folder. Samples are float32 latents; the network computes in its own dtype."""

    def __init__(
        self,
        pipeline: StableDiffusionPipeline,
        id: str,
        device: torch.device,
        classifier: NoisyClassifier | None = None,
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
        # latents have no range to clip to: DDIM's default is for pixels, and folders with another scheduler do not say
        self.scheduler_config: dict[str, Any] = {"clip_sample": False} | dict(pipeline.scheduler.config)
        self.factor: int = pipeline.vae_scale_factor
        self._cores = Cores()
        self.decodes_at_once = 4 if device.type == "cuda" else 1  # on a CPU several take as long as one by one
        self.info = self._describe(id)

    @classmethod
    def load(cls, source: str | Path, id: str, device: torch.device, dtype: torch.dtype) -> Self:
        """Load a folder, or a hub id; a folder's `classifier/` too. Raises OSError or ValueError naming the file that is missing or broken."""
        # Weights are safetensors: others are pickle, which can run code. Nor is code in the folder run.
        safe = {"use_safetensors": True, "low_cpu_mem_usage": False}
        pipeline = StableDiffusionPipeline.from_pretrained(
            source, dtype=dtype, safety_checker=None, requires_safety_checker=False, trust_remote_code=False, **safe
        )
        pipeline.set_progress_bar_config(disable=True)
        folder = Path(source) / FOLDER
        classifier = None
        if folder.is_dir():  # float32 whatever the pipeline's: its gradients are small
            classifier = NoisyClassifier.from_pretrained(folder, dtype=torch.float32, **safe)
        return cls(pipeline, id, device, classifier)

    def _describe(self, id: str) -> ModelInfo:
        config, unet = self.scheduler_config, self.unet.config
        table = {name: config[name] for name in NoiseTable.model_fields if config.get(name) is not None}
        modules = (self.unet, self.vae, self.text_encoder)
        size = int(unet.sample_size) * self.factor
        capabilities = {"null_condition", "condition_embedding", "time_embedding", "attention"}
        capabilities |= {"classifier"} if self.classifier else set()
        return ModelInfo(
            id=id,
            family="stable_diffusion",
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
        tokens = self.tokenizer(
            prompt or "",
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        embedding = self.text_encoder(tokens.input_ids.to(self.device))[0]
        return Condition(embeddings={"text": embedding}, words=self._words(tokens.input_ids[0].tolist()))

    def _words(self, ids: list[int]) -> tuple[str, ...]:
        """What each token says: a word or a piece of one, and the names of those around the text."""
        end = ids.index(self.tokenizer.eos_token_id)
        text = (self.tokenizer.decode([id]).strip() for id in ids[1:end])
        return (START, *text, END, *[PADDING] * (len(ids) - end - 1))

    def label(self, index: int) -> Condition:
        raise ValueError(f"label = {index}: {self.info.id} is conditioned on text")

    def batch_key(self, branch: Branch) -> Hashable:
        return (tuple(branch.x.shape), tuple(branch.cond.embeddings["text"].shape), branch.pull is None)

    def evaluate(self, branches: Sequence[Branch]) -> list[Tensor]:
        return self._cores.shared(self._forward, branches) if self.device.type == "cpu" else self._forward(branches)

    @torch.no_grad()
    def _forward(self, branches: Sequence[Branch]) -> list[Tensor]:
        x = torch.cat([branch.x for branch in branches]).to(self.unet_dtype, memory_format=torch.channels_last)
        text = torch.cat([branch.cond.embeddings["text"] for branch in branches]).to(self.unet_dtype)
        t = torch.tensor([branch.level.t for branch in branches], dtype=torch.float32).to(self.device)
        asked = self._asked(branches)

        def network(x: Tensor) -> Tensor:
            output: Tensor = self.unet(
                padded(x),
                padded(t),
                encoder_hidden_states=padded(text),
                timestep_cond=[branch.time_noise for branch in branches],
                cross_attention_kwargs=None if asked is None else {"rows": asked},
                return_dict=False,
            )[0]
            return output[: len(branches)]

        output = answered(network, x, branches)
        if asked is not None:
            asked.check()
        rows: list[Tensor] = list(torch.split(output.to(self.dtype, memory_format=torch.contiguous_format), 1))
        return rows

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
        posterior = self.vae.encode(pixels.to(self.device, self.vae_dtype), return_dict=False)[0]
        sample: Tensor = posterior.mode() * self.vae.config.scaling_factor
        return sample.to(self.dtype, memory_format=torch.contiguous_format)

    def decode(self, sample: Tensor) -> Tensor:
        latents = (sample / self.vae.config.scaling_factor).to(self.vae_dtype)
        pixels: Tensor = self.vae.decode(latents, return_dict=False)[0]
        return pixels.float() / 2 + 0.5
