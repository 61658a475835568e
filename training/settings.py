"""Everything that decides what is trained, and to which run a work folder belongs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """The same settings give the same weights, up to rounding."""

    seed: int = 0
    p_uncond: float = 0.1
    scenes: int = 32_000
    pool: int = 8_192
    vae_steps: int = 1_500
    text_steps: int = 1_200
    steps: int = 11_000
    batch: int = 32
    rate: float = 4e-3
    times: str = "focused"
    focus: float = 0.5
    weak_steps: int = 1_200
    classifier_steps: int = 10_000
    feature_steps: int = 2_000
    preview_steps: int = 30
    precision: str = "float32"
    compile: bool = False


QUICK = Settings(
    scenes=64, pool=32, vae_steps=3, text_steps=3, steps=4, batch=4, weak_steps=2, classifier_steps=3, feature_steps=3,
    preview_steps=2,
)  # fmt: skip
FIXED = ("seed", "p_uncond", "scenes", "pool")
"""Settings that may not change on resuming."""


def claim_folder(settings: Settings, work: Path) -> None:
    """Note the settings in the work folder; ValueError if it holds a run with others (step counts may change)."""
    work.mkdir(parents=True, exist_ok=True)
    path = work / "settings.json"
    mine = asdict(settings)
    if path.exists():
        theirs = json.loads(path.read_text())
        for name in FIXED:
            if theirs[name] != mine[name]:
                raise ValueError(
                    f"{work} has a run with {name} = {theirs[name]}, not {mine[name]}: choose another --work"
                )
    path.write_text(json.dumps(mine, indent=1))
