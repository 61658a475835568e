"""Every stage and preset, as data: behind `GET /v1/guidance`, `guidepost methods` and the generated docs."""

from __future__ import annotations

from typing import Any

from guidance.presets import PRESETS
from guidance.registry import UNIONS, members


def catalogue() -> dict[str, Any]:
    """Stage name -> what there is to ask for; and the presets."""
    listed: dict[str, Any] = {stage: [method.catalogue_entry() for method in members(stage)] for stage in UNIONS}
    listed["presets"] = [
        {"name": name, "summary": preset.summary, "paper": preset.paper, "guidance": preset.guidance}
        for name, preset in PRESETS.items()
    ]
    return listed
