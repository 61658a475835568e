"""Everything that a run leaves in a folder."""

from __future__ import annotations

from pathlib import Path

from evaluation import verdict
from evaluation.plots import plots
from evaluation.run import Run
from evaluation.sheet import sheet
from evaluation.tables import as_csv, as_markdown

SHEET = "sheet.png"


def write(run: Run, folder: Path) -> list[Path]:
    """JSON with its resamples, CSV, Markdown, plots, a contact sheet; the paths of all."""
    written = run.results.save(folder)
    drawn = plots(run.results, folder, run.sweep.plot)
    sheet(run.shown, run.captions).savefig(folder / SHEET, dpi=150)
    pictures = [*drawn, folder / SHEET]
    links = "\n\n".join(f"![{path.stem}]({path.name})" for path in pictures)
    (folder / "report.csv").write_text(as_csv(run.results))
    (folder / "report.md").write_text(f"{page(run)}\n{links}\n")
    return [*written, folder / "report.csv", folder / "report.md", *pictures]


def page(run: Run) -> str:
    """The tables, and the verdict on the sweep's claim where it has one."""
    tables, claim = as_markdown(run.results), run.sweep.claim
    return tables if claim is None else f"{tables}\n## Verdict\n\n{verdict.as_markdown(claim, run.results)}\n"
