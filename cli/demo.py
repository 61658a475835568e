"""`guidepost demo`: start the service, draw a few prompts under several guidance specs, and stop it."""

from pathlib import Path
from typing import Annotated, Any

import typer

PROMPTS = (
    "a large red circle",
    "a large blue star on a light background",
    "a large yellow ring on a dark background",
)
SPECS: dict[str, dict[str, Any]] = {
    "w = 1": {"schedule": {"type": "constant", "weight": 1}},
    "cfg, w = 3": {"schedule": {"type": "constant", "weight": 3}},
    "cfg, w = 7.5": {"schedule": {"type": "constant", "weight": 7.5}},
    "interval, w = 7.5": {"schedule": {"type": "interval", "weight": 7.5, "sigma_low": 0.3, "sigma_high": 5}},
    "w = 7.5, rescale": {
        "schedule": {"type": "constant", "weight": 7.5},
        "correction": [{"type": "rescale", "phi": 0.7}],
    },
    "cfg_warmup_cosine": {"preset": "cfg_warmup_cosine"},
    "t_norm_cosine": {"preset": "t_norm_cosine"},
}


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for images, grid and plot.")] = Path(
        "outputs/demo"
    ),
    seed: Annotated[int, typer.Option(help="One seed for every image: only the guidance differs.")] = 3,
    steps: Annotated[int, typer.Option(help="Steps of the sampler.", min=2)] = 30,
    model: Annotated[str, typer.Option(help="Model id; its worker is started here.")] = "shapes",
    url: Annotated[str | None, typer.Option(help="Use this running service instead of starting one.")] = None,
) -> None:
    """Draw the same seed under several guidance specs, side by side, and plot what guidance did per step.

    Starts its own service on a free port with its own data, posts over HTTP, and stops everything it started.

    \b
    Examples:
      guidepost demo
      guidepost demo --output /tmp/demo --seed 11
      guidepost demo --url http://127.0.0.1:8000
    """
    from cli.run import complain
    from cli.showcase import Showcase

    with complain():
        Showcase(output, seed, steps, model).run(url)
