"""A weaker version of the model under the same condition: what both forms of autoguidance push away from."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from guidance.attention import SkippedBlock
from guidance.perturbations.layered import Layer
from guidance.protocol import Branch, Step
from guidance.stage import Stage

ModelId = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra={"format": "model"})]


class Weaker(Stage):
    """Another model that is served beside the request's own; or, where none is named, that one with less capacity.

    The authors' weak model makes the same mistakes, only more of them: it is smaller and less trained. Nothing made of
    the same weights is: blocks left out stand for the smaller one, at the price of a row in the same forward. Noise on
    the weights would cost a second network and make pictures worse, measured: its mistakes are of another kind.
    """

    requires: ClassVar[frozenset[str]] = frozenset({"attention"})

    model: ModelId | None = Field(None, description="id of a weaker model, served beside; null: without `layers`")
    layers: tuple[Layer, ...] = Field(
        ("mid",), min_length=1, max_length=32, description="transformer blocks that are left out where model is null"
    )

    def needed(self) -> frozenset[str]:
        return self.requires if self.model is None else frozenset()

    def companions(self) -> dict[str, str]:
        return {} if self.model is None else {"/model": self.model}

    def weak(self, name: str, step: Step) -> Branch:
        """The conditional branch of `step`, asked of the weaker version."""
        if self.model is None:
            return step.cond.another(name).edited(SkippedBlock(self.layers))
        return Branch(name, step.cond.x, step.level, step.cond.cond.elsewhere[self.model])
