"""`python -m training.card`: write the model card from what the training and the measurements left in assets/."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import Any

from training.captions import WORDS
from training.classifier import GROUPS
from training.export import BESIDE, PARTS, pipeline_bytes
from training.looking import new_features
from training.measure import Model, load
from training.plots import plot_losses, plot_samples
from training.sampling import draw_noise, sample
from training.scenes import UNSEEN
from training.settings import Settings
from training.table import ROOT
from training.vae import decode

TEMPLATE = Path(__file__).with_name("card.md")
SAMPLE_SEED = 2_026
PREVIOUS = "00e2f8c"
CAPTIONS = (
    "a red star on a dark background", "a large blue circle on a light background", "a small yellow square",
    "a green ring on a grey striped background", "a purple cross on a light checkered background",
    "an orange triangle on a dark striped background", "a pink star on a dark checkered background",
    "a large cyan ring on a dark plain background", "a small red triangle on a light plain background",
    "a large yellow cross on a grey plain background", "a blue square on a light striped background",
    "a green circle on a dark checkered background", "a star", "a purple shape", "a large shape on a light background",
    "a red circle left of a blue square", "a yellow star above a green ring", "a pink cross right of a cyan circle",
    "a blue triangle below a red square", "a green star right of an orange ring", "a purple circle",
    "an orange square on a dark background", "a cyan triangle", "a pink ring on a grey background",
)  # fmt: skip


def percent(estimate: dict[str, float]) -> str:
    return f"{100 * estimate['value']:.1f} %"


def stage_table(stages: dict[str, Any]) -> str:
    lines = ["| stage | steps | minutes |", "|---|---|---|"]
    lines += [f"| {name} | {stage['steps']:,} | {stage['seconds'] / 60:.0f} |" for name, stage in stages.items()]
    return "\n".join(lines)


def size_table(folder: Path) -> str:
    lines = ["| part | MiB |", "|---|---|"]
    for part in (*PARTS, *BESIDE):
        size = sum(file.stat().st_size for file in (folder / part).iterdir())
        lines.append(f"| {part} | {size / 2**20:.2f} |")
    return "\n".join([*lines, f"| all | {pipeline_bytes(folder) / 2**20:.2f} |"])


def checker_table(report: dict[str, Any]) -> str:
    names = list(report["renders"])
    lines = ["| | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 1)]
    for source in ("renders", "reconstructions"):
        lines.append(f"| {source} | " + " | ".join(percent(report[source][name]) for name in names) + " |")
    return "\n".join(lines)


def command(settings: dict[str, Any]) -> str:
    """The command line of a run: what differs from the defaults."""
    plain = asdict(Settings())
    changed = {name.replace("_", "-"): value for name, value in settings.items() if value != plain[name]}
    flags = [f"--{name}" if value is True else f"--{name} {value}" for name, value in changed.items()]
    return " ".join(["python -m training", *flags])


def table_command(counts: dict[str, int]) -> str:
    flags = [f"--{kind.replace('_', '-')} {count}" for kind, count in counts.items()]
    return " ".join(["python -m training.table", *flags])


def read(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def facts(folder: Path) -> dict[str, str]:
    """The values of the template's placeholders, from the folder and its assets."""
    assets = folder / "assets"
    log, checker = (json.loads((assets / name).read_text()) for name in ("training.json", "checker.json"))
    table = json.loads((assets / "table.json").read_text())
    rows = {row["w"]: row["right"] for row in table["weights"]}
    singles = {w: right["singles"] for w, right in rows.items()}
    best = max(rows, key=lambda w: (singles[w]["all"]["value"], -w))
    counts = {kind: rows[best][kind]["all"]["count"] for kind in rows[best]}
    opens = table["weights"][0]["colour_entropy"]["count"]
    accuracy = json.loads((assets / "accuracy.json").read_text())
    return {
        "settings": ", ".join(f"{name} {value}" for name, value in log["settings"].items()),
        "command": command(log["settings"]),
        "stages": stage_table(log["stages"]),
        "sizes": size_table(folder),
        "words": ", ".join(WORDS),
        "checker": checker_table(checker),
        "checker_count": str(checker["renders"]["all"]["count"]),
        "psnr": f"{checker['psnr']:.1f}",
        "table": (assets / "table.md").read_text().strip(),
        **{kind: str(count) for kind, count in counts.items()},
        "opens": str(opens),
        "table_command": table_command(counts | {"opens": opens}),
        "at_1": percent(singles[1.0]["all"]),
        "best": f"{best:g}",
        "at_best": percent(singles[best]["all"]),
        "pairs_best": percent(rows[best]["pairs"]["all"]),
        "unseen_best": percent(rows[best]["unseen"]["all"]),
        "previous": read(assets / "previous.md").rstrip() or "Not measured yet.",
        "previous_commit": PREVIOUS,
        "held_out": ", ".join(f"{colour} {shape}" for shape, colour in UNSEEN),
        "weak_steps": f"{log['settings']['weak_steps']:,}",
        "feature_count": f"{sum(w.numel() for w in new_features().parameters()) / 1e6:.2f}M",
        "seed": str(log["settings"]["seed"]),
        **{f"{name}_3": percent(singles[3.0][name]) for name in ("colour", "shape", "pattern")},
        "classes": ", ".join(f"{group} ({', '.join(classes)})" for group, classes in GROUPS.items()),
        "accuracy": (assets / "accuracy.md").read_text().strip(),
        "accuracy_scenes": f"{accuracy['scenes']:,}",
        "notes": read(assets / "notes.md"),
    }


def draw_pictures(folder: Path, model: Model) -> None:
    """The loss curve and the sample grid."""
    log = json.loads((folder / "assets" / "training.json").read_text())
    losses = {name: stage["losses"] for name, stage in log["stages"].items()}
    plot_losses(losses, log["window"], folder / "assets" / "losses.png")
    latents = sample(model.denoiser, model.tokenizer, CAPTIONS, draw_noise(len(CAPTIONS), SAMPLE_SEED), w=3.0)
    plot_samples(decode(model.vae, latents), CAPTIONS, 6, folder / "assets" / "samples.png")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.card", description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "shapes", help="pipeline folder to describe")
    folder = parser.parse_args(arguments).model
    draw_pictures(folder, load(folder))
    (folder / "README.md").write_text(Template(TEMPLATE.read_text()).substitute(facts(folder)))


if __name__ == "__main__":
    main()
