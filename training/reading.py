"""What a caption says of each place in a picture, learned by the text encoder before there is a denoiser.

No word of "a red star above a blue circle" says that the star is at the top, and a causal encoder has read "star"
before "above". A denoiser learns this late, if at all: at the noise levels that decide where things are its loss hardly
depends on it. Asked for the picture's contents by place, without any picture, the encoder learns it in minutes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextModel

from training.scenes import COLOURS, PATTERNS, SIDE, SIZES, TONES, Scene
from training.shapes import SHAPES
from training.text import WIDTH

GRID = 4  # places along each side
NOTHING = 0
ANSWERS: dict[str, int] = {
    "shape": 1 + len(SHAPES),
    "colour": 1 + len(COLOURS),
    "size": 1 + len(SIZES),
    "tone": len(TONES),
    "pattern": len(PATTERNS),
}
"""Number of classes of each question; the first of a thing's is that there is none."""


class Reader(nn.Module):
    """A text encoder, and one layer of attention by which each place asks it, as a denoiser's will."""

    def __init__(self, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.places = nn.Parameter(torch.randn(GRID**2, WIDTH))
        self.look = nn.MultiheadAttention(WIDTH, num_heads=4, batch_first=True)
        self.answer = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.SiLU())
        self.heads = nn.Linear(WIDTH, sum(ANSWERS.values()))

    def forward(self, ids: Tensor) -> tuple[Tensor, ...]:
        """Logits (N, places, classes) of each question, for captions ids (N, L)."""
        words = self.text_encoder(ids).last_hidden_state
        places = self.places.expand(len(ids), -1, -1)
        seen, _ = self.look(places, words, words, need_weights=False)
        return torch.split(self.heads(self.answer(seen)), list(ANSWERS.values()), dim=-1)


def contents(scenes: Sequence[Scene]) -> Tensor:
    """Index (N, places, questions) of what is at each place, in the order of ANSWERS."""
    middle = (torch.arange(GRID) + 0.5) * SIDE / GRID
    y, x = (axis.flatten() for axis in torch.meshgrid(middle, middle, indexing="ij"))
    out = torch.zeros(len(scenes), GRID**2, len(ANSWERS), dtype=torch.long)
    for row, scene in zip(out, scenes, strict=True):
        row[:, 3], row[:, 4] = list(TONES).index(scene.tone), PATTERNS.index(scene.pattern)
        for thing in scene.things:
            inside = (x - thing.x) ** 2 + (y - thing.y) ** 2 < thing.radius**2
            names = SHAPES.index(thing.shape), list(COLOURS).index(thing.colour), list(SIZES).index(thing.size)
            row[inside, :3] = 1 + torch.tensor(names)
    return out


def reading_loss(reader: Reader, ids: Tensor, truth: Tensor) -> Tensor:
    """Mean over places and questions of -log p(what is there | caption), in nats, for `truth` as of `contents`."""
    parts = [
        F.cross_entropy(logits.flatten(0, 1), truth[..., place].flatten()) for place, logits in enumerate(reader(ids))
    ]
    return torch.stack(parts).mean()
