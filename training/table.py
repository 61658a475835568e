"""`python -m training.table`: measure what the guidance weight does to the shipped model."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from training.intervals import Estimate
from training.measure import Model, Questions, Row, assess, draw_questions, load, sampled, validate
from training.plots import plot_table
from training.record import write_json
from training.sampling import STEPS
from training.sheet import save_grid

ROOT = Path(__file__).parents[1]
WEIGHTS = (1.0, 2.0, 3.0, 5.0, 7.5, 12.0)
SEED = 424_242
COLUMNS = 10
VALIDATION = 300  # scenes the checker is validated on
HEADER = (
    "| w | one object, all right | count | shape | colour | size | tone | pattern | two objects, all right |"
    ' colour entropy of "a star", bits | chroma | values out of range | latent std |'
)


def line(row: Row) -> str:
    cells = [f"{row.w:g}", f"**{row.singles['all'].value:.2f}** ({interval(row.singles['all'])})"]
    cells += [value(row.singles.get(name)) for name in ("count", "shape", "colour", "size", "tone", "pattern")]
    cells += [f"{row.pairs['all'].value:.2f} ({interval(row.pairs['all'])})"]
    cells += [f"{row.colour_entropy.value:.2f} ({interval(row.colour_entropy)})", f"{row.chroma:.3f}"]
    cells += [f"{100 * row.out_of_range:.2f} %", f"{row.latent_std:.2f}"]
    return "| " + " | ".join(cells) + " |"


def value(estimate: Estimate | None) -> str:
    return f"{estimate.value:.2f}" if estimate else "-"


def interval(estimate: Estimate) -> str:
    return f"{estimate.low:.2f} to {estimate.high:.2f}"


def markdown(rows: Sequence[Row]) -> str:
    """The w table, with 95 % intervals in brackets."""
    return "\n".join([HEADER, "|" + "---|" * (HEADER.count("|") - 1), *(line(row) for row in rows)]) + "\n"


def tabulate(model: Model, questions: Questions, steps: int, out: Path, cache: Path) -> list[Row]:
    """The w table as JSON, Markdown, plot and contact sheet, all in `out`."""
    rows: list[Row] = []
    sheet: list[Tensor] = []
    for w in tqdm(WEIGHTS, desc="weights"):
        row, pictures = assess(model, questions, w, sampled(model, questions, w, steps, cache))
        rows.append(row)
        sheet.append(pictures[:COLUMNS])
        print(line(row), flush=True)
    captions = questions.captions[:COLUMNS]
    report = {"weights": [asdict(row) for row in rows], "sheet": captions, "seed": SEED}
    write_json(report | {"steps": steps, "scheduler": "DDIM, eta 0, trailing"}, out / "table.json")
    (out / "table.md").write_text(markdown(rows))
    plot_table(rows, out / "table.png")
    save_grid(torch.cat(sheet), COLUMNS, out / "sheet.png", zoom=1)
    return rows


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.table", description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "shapes", help="pipeline folder to measure")
    parser.add_argument("--out", type=Path, help="folder of the results (default: assets/ in the model's folder)")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "training" / "table", help="sampled latents")
    parser.add_argument("--singles", type=int, default=200, help="one-object captions at each weight")
    parser.add_argument("--pairs", type=int, default=60, help="two-object captions at each weight")
    parser.add_argument("--opens", type=int, default=64, help='samples of "a star" at each weight')
    parser.add_argument("--steps", type=int, default=STEPS, help="sampling steps")
    given = parser.parse_args(arguments)
    out = given.out or given.model / "assets"
    model = load(given.model)
    write_json(validate(model, VALIDATION, SEED + 5), out / "checker.json")
    questions = draw_questions(given.singles, given.pairs, given.opens, SEED)
    tabulate(model, questions, given.steps, out, given.cache)


if __name__ == "__main__":
    main()
