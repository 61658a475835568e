"""`python -m training.table`: measure what the guidance weight does to the shipped model."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from training.intervals import Estimate
from training.measure import Counts, Model, Questions, Row, assess, draw_questions, load, sampled, validate
from training.plots import plot_table
from training.record import write_json
from training.sampling import STEPS
from training.sheet import save_grid

ROOT = Path(__file__).parents[1]
WEIGHTS = (1.0, 2.0, 3.0, 5.0, 7.5, 12.0)
SEED = 424_242
COLUMNS = 10
VALIDATION = 300  # scenes the checker is validated on
ATTRIBUTES = ("shape", "colour", "size", "tone", "pattern")
TITLES = (
    "w", "one object", "unseen combination", "two objects", "two unseen", *ATTRIBUTES,
    'colour entropy of "a star", bits', "chroma", "out of range", "latent std",
)  # fmt: skip


def line(row: Row) -> str:
    cells = [f"{row.w:g}"]
    for kind in ("singles", "unseen", "pairs", "unseen_pairs"):
        cells.append(f"**{row.right[kind]['all'].value:.2f}** ({interval(row.right[kind]['all'])})")
    cells += [value(row.right["singles"].get(name)) for name in ATTRIBUTES]
    cells += [f"{row.colour_entropy.value:.2f} ({interval(row.colour_entropy)})", f"{row.chroma:.3f}"]
    cells += [f"{100 * row.out_of_range:.2f} %", f"{row.latent_std:.2f}"]
    return "| " + " | ".join(cells) + " |"


def value(estimate: Estimate | None) -> str:
    return f"{estimate.value:.2f}" if estimate else "-"


def interval(estimate: Estimate) -> str:
    return f"{estimate.low:.2f} to {estimate.high:.2f}"


def header(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |\n" + "|" + "---|" * len(cells)


def markdown(rows: Sequence[Row]) -> str:
    """The w table, with 95 % intervals in brackets."""
    return "\n".join([header(TITLES), *map(line, rows)]) + "\n"


def compared(rows: Sequence[Row], previous: Sequence[Row]) -> str:
    """Shares of captions right in everything, of a model and of the one before it, on the same captions and noise."""
    kinds = {"singles": "one object", "pairs": "two objects"}
    cells = ["w", *(f"{title}, {which}" for title in kinds.values() for which in ("before", "now"))]
    lines = [
        "| " + " | ".join([f"{row.w:g}", *(_share(one, kind) for kind in kinds for one in (old, row))]) + " |"
        for row, old in zip(rows, previous, strict=True)
    ]
    return "\n".join([header(cells), *lines]) + "\n"


def _share(row: Row, kind: str) -> str:
    return f"{row.right[kind]['all'].value:.2f} ({interval(row.right[kind]['all'])})"


def assessed(model: Model, questions: Questions, steps: int, cache: Path) -> Iterator[tuple[Row, Tensor]]:
    """A row for each weight, and its first pictures; with a bar."""
    for w in tqdm(WEIGHTS, desc="weights"):
        row, pictures = assess(model, questions, w, sampled(model, questions, w, steps, cache))
        print(line(row), flush=True)
        yield row, pictures[:COLUMNS]


def tabulate(model: Model, questions: Questions, steps: int, out: Path, cache: Path) -> list[Row]:
    """The w table as JSON, Markdown, plot and contact sheet, all in `out`."""
    found = list(assessed(model, questions, steps, cache))
    rows = [row for row, _ in found]
    report = {"weights": [asdict(row) for row in rows], "sheet": questions.captions[:COLUMNS], "seed": SEED}
    write_json(report | {"steps": steps, "scheduler": "DDIM, eta 0, trailing"}, out / "table.json")
    (out / "table.md").write_text(markdown(rows))
    plot_table(rows, out / "table.png")
    save_grid(torch.cat([pictures for _, pictures in found]), COLUMNS, out / "sheet.png", zoom=1)
    return rows


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.table", description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "shapes", help="pipeline folder to measure")
    parser.add_argument("--previous", type=Path, help="another one, to compare with on the same captions and noise")
    parser.add_argument("--out", type=Path, help="folder of the results (default: assets/ in the model's folder)")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "training" / "table", help="sampled latents")
    parser.add_argument("--singles", type=int, default=200, help="one-object captions at each weight")
    parser.add_argument("--pairs", type=int, default=120, help="two-object captions at each weight")
    parser.add_argument("--unseen", type=int, default=90, help="captions of held-out combinations at each weight")
    parser.add_argument("--unseen-pairs", type=int, default=60, help="of two of them")
    parser.add_argument("--opens", type=int, default=64, help='samples of "a star" at each weight')
    parser.add_argument("--steps", type=int, default=STEPS, help="sampling steps")
    given = parser.parse_args(arguments)
    out = given.out or given.model / "assets"
    model = load(given.model)
    write_json(validate(model, VALIDATION, SEED + 5), out / "checker.json")
    counts = Counts(given.singles, given.pairs, given.unseen, given.unseen_pairs, given.opens)
    questions = draw_questions(counts, SEED)
    rows = tabulate(model, questions, given.steps, out, given.cache)
    if given.previous:
        before = list(assessed(load(given.previous), questions, given.steps, given.cache / "previous"))
        (out / "previous.md").write_text(compared(rows, [row for row, _ in before]))


if __name__ == "__main__":
    main()
