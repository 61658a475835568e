"""`guidepost generate`: one request, through a running service or in this process."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.listing import DEFAULT_URL

WHERE = f"Default: {DEFAULT_URL} if it answers, else this process."


def generate(
    prompt: Annotated[
        str | None, typer.Argument(help="What to draw; for a model with labels, the number of one.")
    ] = None,
    request: Annotated[
        str | None,
        typer.Option(help="File with a whole request in JSON, - for standard input; options replace its fields."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File (.png, .webp, .jpg); default out.png; --n: out-0.png")
    ] = None,
    guidance: Annotated[
        str | None, typer.Option(help="A guidance spec in JSON, @file.json, or the name of a preset.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Image k has seed + k. Default: drawn, and printed.")] = None,
    n: Annotated[int | None, typer.Option("--n", "-n", help="Images. Default: 1.", min=1)] = None,
    sampler: Annotated[str | None, typer.Option(help="ddim, euler, dpmpp_2m, ... or JSON with all its fields.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the sampler.", min=1)] = None,
    model: Annotated[str | None, typer.Option(help="Model id. Default: the service's.")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What to move away from.")] = None,
    source: Annotated[
        Path | None, typer.Option(help="Begin from this picture (.png, .webp, .jpg), by DDIM inversion.")
    ] = None,
    source_prompt: Annotated[
        str | None, typer.Option(help="What --source shows, where that is not the prompt; or the number of a label.")
    ] = None,
    diagnostics: Annotated[
        Path | None,
        typer.Option(
            help="Also write the per-step diagnostics (JSON) here, and beside it pictures of what methods saw."
        ),
    ] = None,
    url: Annotated[str | None, typer.Option(envvar="GUIDEPOST_URL", help="The service. " + WHERE)] = None,
) -> None:
    """Draw a prompt. Uses a running service; without one the model is loaded and run in this process.

    \b
    Examples:
      guidepost generate "a large red circle" -o circle.png --seed 7
      guidepost generate "a blue star" --guidance '{"schedule": {"type": "constant", "weight": 4}}' --n 4
      guidepost generate "a green ring" --guidance cfg_warmup_cosine --sampler dpmpp_2m --steps 20
      guidepost generate "a red star above a blue circle" --guidance s_cfg --diagnostics steps.json
      guidepost generate 1 --model gaussians --url http://127.0.0.1:8000
      guidepost inspect circle.png | guidepost generate --request - -o again.png
    """
    from cli.run import complain, run

    whole = read_request(request, prompt)
    output = output or Path(f"out.{whole.get('output', {}).get('format', 'png')}")
    given = {
        "model": model,
        "negative_prompt": negative_prompt,
        "n": n,
        "seed": seed,
        "sampler": read_sampler(sampler, steps),
        "guidance": read_guidance(guidance),
        "source": read_source(source, source_prompt),
        "output": whole.get("output", {}) | {"format": image_format(output)},
        "diagnostics": "full" if diagnostics else None,
    }
    with complain():
        finished = run(whole | {name: value for name, value in given.items() if value is not None}, url)
    for path, image in zip(places(output, len(finished.images)), finished.images, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image.data)
        typer.echo(f"{path}  seed {image.seed}")
    if diagnostics:
        diagnostics.write_text(json.dumps(finished.diagnostics))
        typer.echo(str(diagnostics))
        for picture in finished.pictures:
            place = diagnostics.with_name(f"{diagnostics.stem}-{picture.index}-{picture.name}.png")
            place.write_bytes(picture.data)
            typer.echo(str(place))


def read_request(place: str | None, prompt: str | None) -> dict[str, Any]:
    """A whole request from a file or standard input, or the beginning of one: what the prompt asks for."""
    if (place is None) == (prompt is None):
        raise typer.BadParameter("needs either a prompt or --request", param_hint="PROMPT")
    if place is None:
        return condition(prompt or "")
    try:
        text = sys.stdin.read() if place == "-" else Path(place).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{place} cannot be read: {error}", param_hint="--request") from error
    return _json(text, "--request")


def condition(text: str) -> dict[str, Any]:
    """A prompt, or a label where it is a number."""
    return {"label": int(text)} if text.isdecimal() else {"prompt": text}


def read_source(path: Path | None, shows: str | None) -> dict[str, Any] | None:
    from guidance.picture import data_url

    if path is None:
        if shows is not None:
            raise typer.BadParameter("says what --source shows, which was not given", param_hint="--source-prompt")
        return None
    if not path.is_file():
        raise typer.BadParameter(f"{path} is no file", param_hint="--source")
    image = data_url(path.read_bytes(), f"image/{image_format(path, '--source')}")
    return {"image": image} | ({} if shows is None else condition(shows))


def read_guidance(text: str | None) -> dict[str, Any] | None:
    """A spec from the command line: JSON, @file, or a preset's name."""
    if text is None:
        return None
    if text.startswith("@"):
        text = Path(text[1:]).read_text()
    return _json(text, "--guidance") if text.lstrip().startswith("{") else {"preset": text}


def read_sampler(text: str | None, steps: int | None) -> dict[str, Any] | None:
    if text is None and steps is None:
        return None
    sampler = _json(text, "--sampler") if text and text.lstrip().startswith("{") else {"type": text or "ddim"}
    return sampler | ({} if steps is None else {"steps": steps})


def _json(text: str, option: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint=option) from error
    if not isinstance(value, dict):
        raise typer.BadParameter("must be a JSON object", param_hint=option)
    return value


def image_format(path: Path, option: str = "--output") -> str:
    formats = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}
    if (found := formats.get(path.suffix.lower())) is None:
        raise typer.BadParameter(f"{path.name} must end in one of {', '.join(formats)}", param_hint=option)
    return found


def places(output: Path, n: int) -> list[Path]:
    """Where each image goes: the named file for one, numbered files for more."""
    return [output] if n == 1 else [output.with_stem(f"{output.stem}-{index}") for index in range(n)]
