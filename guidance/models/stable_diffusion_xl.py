"""Stable Diffusion XL pipelines in the diffusers folder layout: a UNet that is also told a pooled text and the sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import StableDiffusionXLPipeline
from torch import Tensor
from torch.nn import Module

from guidance.models.graphs import Inputs
from guidance.models.stable_diffusion import StableDiffusion
from guidance.protocol import Branch, Condition


class StableDiffusionXL(StableDiffusion):
    """One pipeline folder. A condition is the text of both encoders, and beside it the pooled text of the second."""

    family = "stable_diffusion_xl"
    pipeline = StableDiffusionXLPipeline
    unused = {"add_watermarker": False}

    def __init__(self, pipeline: Any, *args: Any, **kwargs: Any) -> None:
        if pipeline.vae.config.force_upcast and pipeline.vae.dtype == torch.float16:  # it overflows
            pipeline.vae.to(torch.float32)
        self.encoders = [
            (pipeline.tokenizer, pipeline.text_encoder.eval()),
            (pipeline.tokenizer_2, pipeline.text_encoder_2.eval()),
        ]
        self.null_is_zero: bool = pipeline.config.force_zeros_for_empty_prompt
        super().__init__(pipeline, *args, **kwargs)

    @property
    def text_encoders(self) -> Sequence[Module]:
        return [encoder for _, encoder in self.encoders]

    @torch.no_grad()
    def encode(self, prompt: str | None) -> Condition:
        tokens = [self._tokens(tokenizer, prompt or "") for tokenizer, _ in self.encoders]
        said = [
            encoder(ids.to(self.device), output_hidden_states=True)
            for ids, (_, encoder) in zip(tokens, self.encoders, strict=True)
        ]
        text, pooled = torch.cat([one.hidden_states[-2] for one in said], -1), said[-1].text_embeds
        if prompt is None and self.null_is_zero:
            text, pooled = torch.zeros_like(text), torch.zeros_like(pooled)
        return Condition({"text": text}, {"pooled": pooled}, self._words(tokens[0][0].tolist()))

    def _inputs(self, branches: Sequence[Branch]) -> dict[str, Tensor]:
        pooled = torch.cat([branch.cond.given["pooled"] for branch in branches])
        height, width = (self.factor * side for side in branches[0].x.shape[2:])
        sizes = torch.tensor([[height, width, 0, 0, height, width]], dtype=torch.float32)  # whole pictures of this size
        told = {
            "pooled": pooled.to(self.unet_dtype),
            "sizes": sizes.to(self.unet_dtype).repeat(len(branches), 1).to(self.device, non_blocking=True),
        }
        return super()._inputs(branches) | told

    def _added(self, inputs: Inputs) -> dict[str, Tensor]:
        return {"text_embeds": inputs["pooled"], "time_ids": inputs["sizes"]}
