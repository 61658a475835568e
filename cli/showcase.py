"""What the demo does: one seed, several prompts and guidance specs, through the service at once; a grid and a plot."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from cli import pictures
from cli.client import Json, Refused, Service
from cli.demo import PROMPTS, SPECS
from cli.run import Finished, bars, through_service

READY = re.compile(r"ready at (http://\S+)")


@dataclass(frozen=True)
class Showcase:
    output: Path
    seed: int
    steps: int
    model: str

    def run(self, url: str | None) -> None:
        self.output.mkdir(parents=True, exist_ok=True)
        if url:
            self._draw(url)
            return
        with started_service(self.model, self.output / "service.log") as here:
            self._draw(here)
        typer.echo("The service is stopped.")

    def _draw(self, url: str) -> None:
        with Service(url) as service:
            subjects = self._subjects(service)
            typer.echo(f"{url}: {len(subjects)} prompts x {len(SPECS)} guidance specs, one seed, all posted at once.")
            began = time.monotonic()
            finished = self._generate(service, subjects)
            seconds = time.monotonic() - began
        self._write(finished)
        count = len(subjects) * len(SPECS)
        nfe = sum(one.usage["nfe"] for row in finished.values() for one in row)
        typer.echo(f"{count} images, {nfe} network evaluations, {seconds:.1f} s: {count / seconds:.2f} images/s.")
        for name in ("grid.png", "diagnostics.png", "diagnostics.json"):
            typer.echo(f"  {self.output / name}")

    def _subjects(self, service: Service) -> dict[str, Json]:
        """Caption -> what the request says of it: prompts, or the first labels of a model that takes labels."""
        [model] = [model for model in service.get("/v1/models")["data"] if model["id"] == self.model]
        if model["condition"] == "text":
            return {prompt: {"prompt": prompt} for prompt in PROMPTS}
        return {name: {"label": index} for index, name in enumerate(model["labels"][: len(PROMPTS)])}

    def _generate(self, service: Service, subjects: dict[str, Json]) -> dict[str, list[Finished]]:
        with bars() as progress, ThreadPoolExecutor(len(subjects) * len(SPECS)) as pool:
            tasks = {name: progress.add_task(name, total=None) for name in SPECS}
            counts: dict[str, dict[str, tuple[int, int]]] = {name: {} for name in SPECS}

            def draw(caption: str, name: str) -> Finished:
                def on_progress(done: int, total: int) -> None:
                    counts[name][caption] = (done, total)
                    done, total = (sum(column) for column in zip(*list(counts[name].values()), strict=True))
                    progress.update(tasks[name], completed=done, total=total)

                return through_service(service, self._request(subjects[caption], name), on_progress)

            futures = {caption: [pool.submit(draw, caption, name) for name in SPECS] for caption in subjects}
            return {caption: [future.result() for future in row] for caption, row in futures.items()}

    def _request(self, subject: Json, name: str) -> Json:
        return {
            **subject,
            "model": self.model,
            "seed": self.seed,
            "sampler": {"type": "ddim", "steps": self.steps},
            "guidance": SPECS[name],
            "diagnostics": "full",
            "metadata": {"spec": name},
        }

    def _write(self, finished: dict[str, list[Finished]]) -> None:
        names = list(SPECS)
        for row, (caption, results) in enumerate(finished.items()):
            for column, result in enumerate(results):
                (self.output / f"{slug(caption)}-{column}-{slug(names[column])}.png").write_bytes(result.images[0].data)
            if row == 0:
                self._plot(dict(zip(names, results, strict=True)))
        rows = {
            f"{caption}, seed {self.seed}": [one.images[0].data for one in row] for caption, row in finished.items()
        }
        pictures.grid(rows, names).save(self.output / "grid.png", optimize=True)

    def _plot(self, results: dict[str, Finished]) -> None:
        columns: dict[str, Any] = {
            name: result.diagnostics["images"][0]["columns"] for name, result in results.items() if result.diagnostics
        }
        (self.output / "diagnostics.json").write_text(json.dumps(columns))
        pictures.plot(columns, self.output / "diagnostics.png")


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


@contextmanager
def started_service(model: str, log: Path, *, workers: int = 1) -> Iterator[str]:
    """`guidepost up` on a free port with data of its own; ended, data and all, on the way out."""
    with tempfile.TemporaryDirectory(prefix="guidepost-demo-") as data, log.open("w") as lines:
        crew = "a worker" if workers == 1 else f"{workers} workers"
        typer.echo(f"Starting Redis, the gateway and {crew} (their lines: {log}).")
        argv = [sys.executable, "-m", "cli", "up", "--port", "0", "--data-dir", data, "--workers", str(workers)]
        env = {**os.environ, "GUIDEPOST_MODELS": model, "GUIDEPOST_REDIS_URL": "", "GUIDEPOST_HOST": "127.0.0.1"}
        process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=lines, text=True, process_group=0)
        try:
            yield _wait_until_ready(process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            assert process.stdout is not None
            process.stdout.close()


def _wait_until_ready(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := READY.search(line):
            return found[1]
    raise Refused({"title": "the service did not start", "detail": f"{log} ends with:\n{log.read_text()[-2000:]}"})
