"""Attention that does, for each row of a batch, what the row's branch asks; rows that ask for nothing take the stock path.

Installed once when a network is loaded. What is asked travels with the forward (`cross_attention_kwargs`), so nothing
is installed, removed or remembered while sampling.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from guidance.attention import (
    BlurredQueries,
    Capture,
    Captured,
    Edit,
    IdentityAttention,
    NegativeAttention,
    SkippedBlock,
)


class Rows:
    """The edits of one forward, row by row, and which of them found a layer to act on."""

    def __init__(self, edits: Sequence[tuple[Edit, ...]], grid: tuple[int, int], coarsest: int) -> None:
        self.edits = edits
        self.grid = grid
        """Height and width of the latent."""
        self.coarsest = coarsest
        """How many times coarser than the latent the coarsest attention layer is."""
        self.fired: Counter[Edit] = Counter()
        self._self_maps: dict[tuple[int, str], Tensor] = {}

    def of(self, layer: str, kinds: type[Edit] | tuple[type[Edit], ...]) -> list[tuple[int, Any]]:
        """(row, edit) for every edit of these kinds that acts on `layer`."""
        found = [(row, edit) for row, edits in enumerate(self.edits) for edit in edits if isinstance(edit, kinds)]
        found = [(row, edit) for row, edit in found if edit.covers(layer)]
        self.fired.update(edit for _, edit in found)
        return found

    def ratio(self, tokens: int) -> int:
        """How many times coarser than the latent a grid of so many tokens is."""
        return math.isqrt(self.grid[0] * self.grid[1] // tokens)

    def shape(self, tokens: int) -> tuple[int, int]:
        """Height and width of a grid of so many tokens."""
        return self.grid[0] // self.ratio(tokens), self.grid[1] // self.ratio(tokens)

    def captures(self, layer: str, tokens: int) -> list[tuple[int, Capture]]:
        """(row, edit) for every look at this layer."""
        found = [(row, edit) for row, edit in self.of(layer, Capture)]
        return [(row, edit) for row, edit in found if self.ratio(tokens) >= min(edit.ratio, self.coarsest)]

    def keep(self, row: int, layer: str, self_map: Tensor) -> None:
        self._self_maps[row, layer] = self_map

    def pair(self, row: int, layer: str, edit: Capture, cross_map: Tensor) -> None:
        """A layer's cross-attention follows its self-attention; together they are one captured layer."""
        if all(known.layer != layer for known in edit.maps):  # a batch that failed is evaluated again, in parts
            edit.maps.append(Captured(layer, self._self_maps[row, layer], cross_map))

    def check(self) -> None:
        """ValueError if an edit acted on no layer: a misspelt layer must not pass for a result."""
        for edits in self.edits:
            for edit in edits:
                if not self.fired[edit]:
                    raise ValueError(f"layers = {', '.join(edit.layers)}: none of the network's attention layers")


class RowAttention(AttnProcessor2_0):  # type: ignore[misc]
    """diffusers' own attention, and after it the rows that ask for another."""

    def __init__(self, layer: str) -> None:
        super().__init__()
        self.layer = layer

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        rows: Rows | None = None,
    ) -> Tensor:
        out: Tensor = super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        if rows is None:
            return out
        if encoder_hidden_states is None:
            self._edit_self(attn, hidden_states, out, rows)
        else:
            self._edit_cross(attn, hidden_states, encoder_hidden_states, out, rows)
        return out

    def _edit_self(self, attn: Attention, x: Tensor, out: Tensor, rows: Rows) -> None:
        for row, edit in rows.of(self.layer, (IdentityAttention, BlurredQueries)):
            own = x[row : row + 1].repeat(2, 1, 1)  # two rows: the same bits in any batch
            value = attn.to_v(own)
            if isinstance(edit, BlurredQueries):
                query = blurred(attn.to_q(own), rows.shape(own.shape[1]), edit.sigma)
                value = attended(attn, query, attn.to_k(own), value)
            out[row] = attn.to_out[0](value)[0]
        for row, _ in rows.captures(self.layer, x.shape[1]):
            own = x[row : row + 1].repeat(2, 1, 1)
            rows.keep(row, self.layer, probabilities(attn, attn.to_q(own), attn.to_k(own)))

    def _edit_cross(self, attn: Attention, x: Tensor, text: Tensor, out: Tensor, rows: Rows) -> None:
        for row, edit in rows.of(self.layer, NegativeAttention):
            query = attn.to_q(x[row : row + 1].repeat(2, 1, 1))
            told = torch.cat([text[row : row + 1], edit.text.to(text)])
            positive, negative = attended(attn, query, attn.to_k(told), attn.to_v(told)).tensor_split(2)
            out[row] = attn.to_out[0](normalised(positive, negative, edit).repeat(2, 1, 1))[0]
        for row, edit in rows.captures(self.layer, x.shape[1]):
            query = attn.to_q(x[row : row + 1].repeat(2, 1, 1))
            key = attn.to_k(text[row : row + 1].repeat(2, 1, 1))
            rows.pair(row, self.layer, edit, probabilities(attn, query, key))


class RowBlock(BasicTransformerBlock):  # type: ignore[misc]
    """A transformer block that some rows of a batch may skip."""

    layer: str

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        out: Tensor = super().forward(hidden_states, *args, **kwargs)
        rows: Rows | None = (kwargs.get("cross_attention_kwargs") or {}).get("rows")
        if rows is not None:
            for row, _ in rows.of(self.layer, SkippedBlock):
                out[row] = hidden_states[row]
        return out


def install(network: UNet2DConditionModel) -> tuple[str, ...]:
    """Give every transformer block of a UNet row-wise attention; returns the names of its layers."""
    layers = []
    for name, module in network.named_modules():
        if type(module) is BasicTransformerBlock:
            module.__class__ = RowBlock
            module.layer = layer_name(name)
            for attention in (module.attn1, module.attn2):
                if attention is not None:
                    attention.set_processor(RowAttention(module.layer))
            layers.append(module.layer)
    return tuple(layers)


def layer_name(module: str) -> str:
    """`down_blocks.0.attentions.1.transformer_blocks.0` -> `down.0.1`; deeper blocks add their own number."""
    parts = module.split(".")
    numbers = [part for part in parts if part.isdigit()]
    if numbers[-1] == "0" and parts[-2] == "transformer_blocks":
        numbers.pop()
    return ".".join([parts[0].removesuffix("_blocks").removesuffix("_block"), *numbers])


def heads(attn: Attention, x: Tensor) -> Tensor:
    """(N, tokens, features) -> (N, heads, tokens, features / heads)."""
    return x.view(*x.shape[:2], attn.heads, -1).transpose(1, 2)


def attended(attn: Attention, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention (N, tokens, features) of projected queries, keys and values, before the output projection."""
    out = scaled_dot_product_attention(heads(attn, query), heads(attn, key), heads(attn, value))
    return out.transpose(1, 2).flatten(2)


def probabilities(attn: Attention, query: Tensor, key: Tensor) -> Tensor:
    """The first row's attention map (tokens, keys), the mean over the heads, in float32."""
    logits = heads(attn, query)[0].float() @ heads(attn, key)[0].float().transpose(1, 2)
    return torch.softmax(logits * attn.scale, -1).mean(0)


def blurred(query: Tensor, grid: tuple[int, int], sigma: float) -> Tensor:
    """Queries (N, tokens, features) blurred over their grid by a Gaussian, edges reflected.

    The kernel reaches three sigma, at most about the grid's height, as in the authors' code.
    """
    if math.isinf(sigma):
        return query.mean(1, keepdim=True).expand_as(query).contiguous()
    height, width = grid
    reach = (math.ceil(6 * sigma) + 1 - math.ceil(6 * sigma) % 2) // 2
    image = query.transpose(1, 2).reshape(*query.shape[::2], *grid)
    for axis, size in ((2, height), (3, width)):
        radius = min(reach, (height - (height % 2 - 1)) // 2, size - 1)  # a reflection reaches size - 1
        offsets = torch.arange(-radius, radius + 1, device=query.device, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
        margin = (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0)
        windows = pad(image, margin, mode="reflect").unfold(axis, 2 * radius + 1, 1)
        image = windows @ (kernel / kernel.sum()).to(query.dtype)
    return image.flatten(2).transpose(1, 2).contiguous()


def normalised(positive: Tensor, negative: Tensor, edit: NegativeAttention) -> Tensor:
    """NAG's extrapolation, its length per token capped (Chen et al. 2025, arXiv:2505.21179, eq. 6-9, L1 norms)."""
    away = edit.scale * positive - (edit.scale - 1) * negative
    ratio = away.abs().sum(-1, keepdim=True) / positive.abs().sum(-1, keepdim=True).clamp_min(1e-12)
    capped = away * (ratio.clamp_max(edit.cap) / ratio.clamp_min(1e-12))
    return torch.lerp(positive, capped, edit.blend)
