"""OpenAI's client for node, as it is, against a real server. `make clients` installs it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

from jobs.store import JobStore
from tests.service.stand_in import StandIn, picture

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".cache" / "clients"


def test_the_node_client_generates_streams_and_raises(
    url: str, worker: StandIn, store: JobStore, tmp_path: Path
) -> None:
    assert (TOOLS / "installed").exists(), "node is not installed: run `make clients`"

    def act(id: str) -> None:
        attempt = worker.start(id)
        if attempt.request.output.previews:
            store.event(id, attempt.token, "preview", {"index": 0, "step": 1, "b64_png": "AAAA"})
        worker.succeed(id, attempt)

    shutil.copy(ROOT / "tests" / "service" / "openai_node.js", tmp_path / "script.mjs")
    (tmp_path / "node_modules").symlink_to(TOOLS / "node_modules")  # modules are looked for beside the script
    with worker.at_work(act):
        command = [str(TOOLS / "bin" / "node"), "script.mjs", f"{url}/v1"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    first, second = (base64.b64encode(picture(seed)).decode() for seed in (7, 8))
    assert told["images"] == [first, second]
    assert told["fetched"] == first
    assert told["events"] == [["image_generation.partial_image", "AAAA"], ["image_generation.completed", first]]
    assert told["models"] == ["gaussians", "shapes"]
    sized, unknown = told["errors"]
    assert sized[:3] == ["BadRequestError", "size", "unsupported_size"]
    assert sized[3] == "400 width = 60: shapes takes multiples of 8 up to 128"
    assert unknown[:3] == ["NotFoundError", "model", "model_not_found"]
