"""The card's two plots."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from training.intervals import Estimate
from training.measure import Row


def plot_losses(losses: dict[str, Sequence[float]], window: int, path: Path) -> None:
    """One panel per stage, logarithmic; each value is the mean of `window` steps."""
    rows = -(-len(losses) // 3)
    figure, panels = plt.subplots(rows, 3, figsize=(12, 2.6 * rows), layout="constrained")
    for panel, (name, means) in zip(panels.flat, losses.items(), strict=True):
        panel.plot([window * (i + 0.5) for i in range(len(means))], means, color="#2360E0", linewidth=1.5)
        panel.set(yscale="log", title=name, xlabel="step")
        panel.grid(alpha=0.3, which="both")
    panels.flat[0].set_ylabel(f"loss, mean of {window} steps")
    save(figure, path)


def plot_table(rows: Sequence[Row], path: Path) -> None:
    """Accuracy, diversity and saturation against w, with 95 % intervals where there are any."""
    figure, (right, varied, strong) = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained")
    kinds = {
        "singles": ("one object", "#2360E0"), "unseen": ("unseen combination", "#3BD0E0"),
        "pairs": ("two objects", "#F98217"), "unseen_pairs": ("two unseen", "#FFB347"),
    }  # fmt: skip
    for kind, (label, colour) in kinds.items():
        curve(right, rows, [row.right[kind]["all"] for row in rows], label, colour)
    right.set(title="all stated attributes right", ylim=(0, 1))
    right.legend(frameon=False)
    curve(varied, rows, [row.colour_entropy for row in rows], "", "#8B3FD9")
    varied.set(title='colours of "a star": entropy, bits (most: 3)', ylim=(0, 3.1))
    weights = [row.w for row in rows]
    strong.plot(weights, [row.chroma for row in rows], "o-", color="#E03131", label="chroma of the things")
    strong.plot(weights, [row.latent_std for row in rows], "s-", color="#37B24D", label="latent std")
    strong.set(title="saturation", ylim=(0, None))
    strong.legend(frameon=False)
    for panel in (right, varied, strong):
        panel.set_xscale("log")
        panel.set_xticks(weights, [f"{w:g}" for w in weights])
        panel.minorticks_off()
        panel.set_xlabel("w")
        panel.grid(alpha=0.3)
    save(figure, path)


def curve(panel: Axes, rows: Sequence[Row], values: Sequence[Estimate], label: str, colour: str) -> None:
    weights = [row.w for row in rows]
    panel.plot(weights, [value.value for value in values], "o-", color=colour, label=label)
    panel.fill_between(weights, [v.low for v in values], [v.high for v in values], color=colour, alpha=0.15)


def save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def plot_samples(pictures: Tensor, captions: Sequence[str], columns: int, path: Path) -> None:
    """Pictures (N, 3, H, W) in [0, 1] with their captions above them."""
    rows = -(-len(captions) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(1.6 * columns, 2.15 * rows), layout="constrained")
    for panel in axes.flat:
        panel.axis("off")
    for panel, picture, caption in zip(axes.flat, pictures.clamp(0, 1), captions, strict=False):
        panel.imshow(picture.permute(1, 2, 0).numpy(), interpolation="nearest")
        panel.set_title("\n".join(wrap(caption, 22)), fontsize=8)
    save(figure, path)


def plot_accuracy(
    sigmas: Sequence[float], shares: dict[str, Sequence[Estimate]], guesses: dict[str, float], path: Path
) -> None:
    """Shares of right answers of each group against sigma / alpha, with 95 % intervals; arrows where a guess is."""
    figure, panel = plt.subplots(figsize=(7, 3.4), layout="constrained")
    colours = ("#E03131", "#2360E0", "#37B24D", "#8B3FD9", "#F98217")
    for (name, values), colour in zip(shares.items(), colours, strict=True):
        panel.plot(sigmas, [value.value for value in values], "o-", markersize=3, color=colour, label=name)
        panel.fill_between(sigmas, [v.low for v in values], [v.high for v in values], color=colour, alpha=0.15)
        panel.plot([1.0], [guesses[name]], "<", transform=panel.get_yaxis_transform(), color=colour, clip_on=False)
    panel.set(
        xscale="log",
        ylim=(0, 1.02),
        xlabel="sigma / alpha",
        title="right answers on scenes not trained on; arrows: a guess",
    )
    panel.grid(alpha=0.3)
    panel.legend(frameon=False)
    save(figure, path)
