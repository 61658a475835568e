"""What every guidance method is: a frozen pydantic model whose fields are what a client may ask for."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from guidance.asked import Asked
from guidance.prompted import Wanted

Space = Literal["output", "eps", "v", "denoised"]
"""Where a formula is evaluated. `output` is the network's own parameterisation, for methods that agree in all."""


@dataclass(frozen=True)
class Preset:
    """Published settings under a name: stages of a guidance spec, which a client could have written itself."""

    name: str
    summary: str
    guidance: dict[str, Any]
    paper: str = ""
    """Empty for the paper of the method that lists the preset."""


def _require_type(schema: dict[str, Any]) -> None:
    """A client names the member of a union by `type`; only Python callers, who name the class, may leave it out."""
    schema["properties"]["type"].pop("default", None)
    schema["required"] = ["type", *(name for name in schema.get("required", []) if name != "type")]


class Stage(Asked):
    """One stage of a guidance spec. Subclasses declare `type: Literal["..."]`, which picks them in their union.

    Frozen and free of state: one object may serve many trajectories at once. What must persist over the steps of a
    trajectory lives in `Step.memory`.
    """

    model_config = ConfigDict(json_schema_extra=_require_type)

    paper: ClassVar[str] = ""
    """Authors, year and arXiv number of the source."""
    requires: ClassVar[frozenset[str]] = frozenset()
    """Capabilities that a model must have (see `guidance.info.CAPABILITIES`)."""
    neutral: ClassVar[str] = ""
    """The setting at which the method changes nothing, in words; empty where there is none."""

    presets: ClassVar[tuple[Preset, ...]] = ()
    """The settings its authors published."""

    def needed(self) -> frozenset[str]:
        """Capabilities that the model must have for these fields: those of the method, and of what it is given."""
        return self.requires

    def wanted(self) -> dict[str, Wanted]:
        """The conditions it asks for beside the request's own, by their JSON pointer within the stage."""
        return {}

    def companions(self) -> dict[str, str]:
        """Ids of the models it asks beside the request's own, by their JSON pointer within the stage."""
        return {}

    @classmethod
    def type_name(cls) -> str:
        """The value of `type` that picks this stage."""
        (name,) = cls.model_fields["type"].annotation.__args__  # type: ignore[union-attr]
        return str(name)

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(cls) or "").partition("\n")[0]

    @classmethod
    def details(cls) -> str:
        """The rest of the docstring: the formula, and what is particular."""
        return (inspect.getdoc(cls) or "").partition("\n\n")[2]

    @classmethod
    def catalogue_entry(cls) -> dict[str, Any]:
        """What `GET /v1/guidance` says of this stage."""
        return {
            "type": cls.type_name(),
            "summary": cls.summary(),
            "details": cls.details(),
            "paper": cls.paper,
            "requires": sorted(cls.requires),
            "neutral": cls.neutral,
            "schema": cls.model_json_schema(),
        }
