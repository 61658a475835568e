"""The README's first commands do what it says, against a service that runs."""

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from cli.docs import ROOT
from cli.main import app
from tests.cli.conftest import Up

README = (ROOT / "README.md").read_text()


def command(start: str) -> list[str]:
    """The words of the one shell command of the README that starts so."""
    [found] = re.findall(rf"^{re.escape(start)}(?:.|\n)*?(?=\n```)", README, flags=re.MULTILINE)
    return shlex.split(found)


def test_the_curl_example_answers_with_a_finished_job(up: Up) -> None:
    words = command("curl -s http")
    headers = dict(word.split(": ") for flag, word in pairwise(words) if flag == "-H")
    body = json.loads(words[words.index("-d") + 1])
    path = httpx.URL(words[2]).path
    answer = httpx.post(up.url + path, headers=headers, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "succeeded"


def test_the_generate_example_writes_its_file(up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GUIDEPOST_URL", up.url)
    _, *words = command("guidepost generate")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "circle.png").stat().st_size > 0
