"""Where sweeps, what they gave, and the pages that show it are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

METHODS = "methods"
"""The sweep of docs/choosing.md; all others are claims."""


@dataclass(frozen=True)
class Site:
    """A repository."""

    root: Path

    @property
    def sweeps(self) -> dict[str, Path]:
        """Files by name: the claims in order, then the methods side by side."""
        claims = {path.stem: path for path in (self.root / "evaluation" / "claims").glob("*.yaml")}
        methods = self.root / "evaluation" / f"{METHODS}.yaml"
        return dict(sorted(claims.items())) | ({METHODS: methods} if methods.exists() else {})

    @property
    def claims(self) -> list[str]:
        return [name for name in self.sweeps if name != METHODS]

    @property
    def evidence(self) -> Path:
        return self.root / "docs" / "evidence.md"

    @property
    def choosing(self) -> Path:
        return self.root / "docs" / "choosing.md"

    @property
    def pictures(self) -> Path:
        return self.root / "docs" / "pictures" / "evidence"

    def record(self, name: str) -> Path:
        return self.pictures / f"{name}.json"

    def plot(self, name: str) -> Path:
        return self.pictures / f"{name}.png"

    def sheet(self, name: str) -> Path:
        return self.pictures / f"{name}-sheet.png"


SITE = Site(Path(__file__).parents[2])
