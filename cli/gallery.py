"""`python -m cli.gallery`: one picture of every method, through the service, and all of them on one sheet."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageDraw
import typer

from cli import pictures
from cli.client import Json, Service
from cli.docs import methods
from cli.run import Finished, bars, through_service
from cli.showcase import started_service
from guidance.picture import data_url

FOLDER = Path(__file__).parent.parent / "docs" / "pictures" / "methods"
SHEET = FOLDER.parent / "methods.png"
SUBJECT: Json = {"model": "shapes", "prompt": "a large blue star", "seed": 3}
STEPS = 30
COLUMNS = 10
PLAIN = "combiner-cfg"

STRONG = {"type": "constant", "weight": 7.5}
ALONE = {"type": "constant", "weight": 1}
WEAK = {"type": "constant", "weight": 2}
"""As much as the demo model stands where a random condition takes the null one's place."""
TOWARDS = {"prompt": "a large yellow ring"}
AWAY = {"prompt": "a shape on a light background"}

GROUND = {"type": "colour", "target": "#222937", "bottom": 0.2}
"""A dark strip along the top, which the model draws only as part of a dark ground."""


def reference() -> str:
    """A blue disc in a corner of a dark ground, eight by eight: what the picture is to look like from afar."""
    large = PIL.Image.new("RGB", (64, 64), "#222937")
    PIL.ImageDraw.Draw(large).ellipse((4, 4, 34, 34), fill="#2360e0")
    file = io.BytesIO()
    large.resize((8, 8), PIL.Image.Resampling.BOX).save(file, "png")
    return data_url(file.getvalue())


FIELDS: dict[str, Json] = {
    "classifier": {"labels": ["dark"], "scale": 3},
    "label": {"labels": ["checkered"]},
    "match": {"image": reference(), "operator": "downscale", "factor": 8},
    "colour": {"target": "#222937", "bottom": 0.2},
    "mpgd": {"losses": [{"type": "label", "labels": ["checkered"]}]},
    **{name: {"losses": [GROUND]} for name in ("dps", "lgd_mc", "universal")},
    "per_step": {"weights": [None] * 10 + [5] * 20},
    "piecewise": {"points": [{"at": 0, "weight": 1}, {"at": 0.5, "weight": 7.5}, {"at": 1, "weight": 1}]},
    "swap": {"changes": [TOWARDS | {"at": 0.2}]},
    "composable": {"share": 0.7, "terms": [{"prompt": "a shape on a dark striped background", "share": 0.7}]},
    "perp_neg": {"negatives": [AWAY]},
    "sega": {"concepts": [AWAY | {"away": True, "warmup": 0.1}]},
    "characteristic": {"basis": None, "max_iterations": 10, "tolerance": 1e-2},
    "static_threshold": {"bound": 3.3, "latent_ok": True},
    "dynamic_threshold": {"bound": 3.3, "latent_ok": True},
    "seg": {"sigma": None},
}
"""Fields of a method's example that are not its defaults."""

BESIDE: dict[str, Json] = {
    "icg": {"schedule": WEAK},
    "nag": {"schedule": ALONE},
    "cads": {"schedule": STRONG},
    "pag": {"schedule": ALONE},
    "sag": {"schedule": STRONG},
    "seg": {"schedule": ALONE},
    "skip_layer": {"schedule": ALONE},
    "tsg": {"schedule": ALONE},
    "tag": {"schedule": STRONG},
    "renorm": {"schedule": STRONG},
    "rescale": {"schedule": STRONG},
    "momentum": {"schedule": STRONG},
    "mimic_threshold": {"schedule": STRONG},
    "static_threshold": {"schedule": STRONG},
    "dynamic_threshold": {"schedule": STRONG},
}
"""What stands beside a method in its example."""


def examples() -> Iterator[tuple[str, Json]]:
    """`stage-type` and the request of its picture, for every method."""
    for stage, method in methods():
        name = method.type_name()
        part = {"type": name} | FIELDS.get(name, {})
        negative = {"negative_prompt": AWAY["prompt"]} if name == "nag" else {}
        request = SUBJECT | negative | {"sampler": {"type": "ddim", "steps": STEPS}, "guidance": BESIDE.get(name, {})}
        if stage == "sampler":
            request["sampler"] = part | {"steps": STEPS}
        else:
            listed = stage in ("condition", "perturbation", "correction", "energy")
            made = (
                {"energy": [{"type": "dps", "losses": [part]}]}
                if stage == "loss"
                else {stage: [part] if listed else part}
            )
            request["guidance"] = request["guidance"] | made
        yield f"{stage}-{name}", request


def drawn(service: Service, requests: dict[str, Json]) -> dict[str, Finished]:
    """All at once: they share their forwards."""
    with bars() as progress, ThreadPoolExecutor(len(requests)) as pool:
        bar = progress.add_task("pictures", total=len(requests))

        def draw(request: Json) -> Finished:
            finished = through_service(service, request, lambda done, total: None)
            progress.advance(bar)
            return finished

        futures = {name: pool.submit(draw, request) for name, request in requests.items()}
        return {name: future.result() for name, future in futures.items()}


def write(found: dict[str, Finished]) -> None:
    """Each picture in its file, and the sheet."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    images: dict[str, Any] = {name: finished.images[0].data for name, finished in found.items()}
    for name, data in images.items():
        (FOLDER / f"{name}.png").write_bytes(data)
    pictures.sheet(images, COLUMNS).save(SHEET, optimize=True)


def main() -> None:
    log = Path("outputs") / "gallery.log"
    log.parent.mkdir(exist_ok=True)
    with started_service("shapes", log) as url, Service(url) as service:
        write(drawn(service, dict(examples())))
    typer.echo(f"{FOLDER} and {SHEET}")


if __name__ == "__main__":
    main()
