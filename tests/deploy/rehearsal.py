"""`make images`: what the Dockerfile's targets install and start, in fresh environments, without Docker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cli.client import Service
from jobs.embedded import EmbeddedRedis
from tests.deploy.image import ROOT, Image, images

FOLDER = ROOT / ".cache" / "images"
BUILDS = ("touch", "pip")
"""Commands that a RUN of ours begins with; the other makes a user, which is the image's business."""


def main(targets: list[str]) -> int:
    for target in targets:
        started = time.monotonic()
        rehearse(images()[target])
        print(f"{target}: installs, starts and is healthy; {time.monotonic() - started:.0f} s", flush=True)
    return 0


def rehearse(image: Image) -> None:
    """Install as the image does, start its command, and ask its health check. Raises if any of them fails."""
    folder = FOLDER / image.target
    shutil.rmtree(folder, ignore_errors=True)
    (app := folder / "app").mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    env = os.environ | image.environment | {"PATH": f"{folder / 'venv' / 'bin'}:{os.environ['PATH']}"}
    env = {name: value for name, value in env.items() if name not in ("PYTHONPATH", "PYTHONHOME", "PIP_NO_CACHE_DIR")}
    build(image, app, env)
    with tempfile.TemporaryDirectory() as data, EmbeddedRedis(Path(data)) as redis:
        serve(image, env | {"GUIDEPOST_REDIS_URL": redis.url, "GUIDEPOST_DATA_DIR": data, "GUIDEPOST_PORT": "0"})


def build(image: Image, app: Path, env: dict[str, str]) -> None:
    """Every COPY and RUN in its order."""
    for step in image.instructions:
        if step.word == "COPY":
            Image("", "", (step,)).lay(app)
        elif step.word == "RUN" and step.text.startswith(BUILDS):
            print(f"{image.target}: {step.text}", flush=True)
            subprocess.run(["sh", "-c", step.text], cwd=app, env=env, check=True, stdout=subprocess.DEVNULL)


def serve(image: Image, env: dict[str, str]) -> None:
    has_torch = subprocess.run(["python", "-c", "import torch"], env=env, cwd="/", capture_output=True).returncode == 0
    if has_torch != (image.target == "worker"):
        raise SystemExit(f"{image.target}: torch is {'there' if has_torch else 'missing'}")
    process = subprocess.Popen(
        image.command, env=env | {"GUIDEPOST_OPEN": "true"}, cwd="/", stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline().split()
        url = said[-1] if said[-1:] and said[-1].startswith("http") else ""
        if url:
            with Service(url) as service:
                service.answers("/livez", seconds=30)
        health = [word.replace("http://127.0.0.1:8000", url) for word in image.health]
        subprocess.run(health, env=env, cwd="/", check=True)
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["gateway", "worker"]))
