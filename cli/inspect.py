"""`guidepost inspect`: the request that makes an image again, from its file."""

import json
from pathlib import Path
from typing import Annotated

import typer


def inspect(
    files: Annotated[list[Path], typer.Argument(help="Images (.png, .webp, .jpg) that a service or `generate` made.")],
    picture: Annotated[
        list[Path] | None,
        typer.Option(help="A picture that a request began from or compared with; files only hold their hashes."),
    ] = None,
) -> None:
    """Print the request that makes an image again: one line of JSON per file.

    \b
    Examples:
      guidepost inspect circle.png | guidepost generate --request - -o again.png
      guidepost inspect circle.png | curl --json @- http://127.0.0.1:8000/v1/generations
      guidepost inspect edited.png --picture photo.png
    """
    from jobs.provenance import NoProvenance, missing, read, restore

    pictures = dict(map(_named, picture or ()))
    failed = False
    for path in files:
        try:
            request = read(_data(path))
        except NoProvenance as error:
            typer.echo(f"{path} {error}", err=True)
            failed = True
            continue
        restore(request, pictures)
        typer.echo(json.dumps(request))
        for pointer, digest in missing(request):
            typer.echo(f"{path} needs at {pointer!a} the picture whose sha256 is {digest}: --picture", err=True)
    if failed:
        raise typer.Exit(1)


def _data(path: Path) -> bytes:
    from jobs.provenance import MAX_FILE_BYTES, NoProvenance

    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise NoProvenance(f"cannot be read: {error.strerror}") from error


def _named(path: Path) -> tuple[str, str]:
    """A picture as a data URL, by its digest."""
    from cli.generate import image_format
    from guidance.picture import data_url, digest

    if not path.is_file():
        raise typer.BadParameter(f"{path} is no file", param_hint="--picture")
    url = data_url(path.read_bytes(), f"image/{image_format(path, '--picture')}")
    return digest(url), url
