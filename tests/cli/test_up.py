"""`guidepost up`, end to end: ready when it says so, and nothing left behind."""

import re
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from cli.client import Service
from cli.up import _listen
from tests.cli.conftest import Start, Up


def test_ready_means_that_a_request_can_be_served(up: Up) -> None:
    with Service(up.url) as service:
        assert service.answers("/readyz", seconds=5)
        assert "gaussians" in [model["id"] for model in service.get("/v1/models")["data"]]


def test_redis_the_gateway_and_the_worker_are_its_children(up: Up) -> None:
    commands = [" ".join(child.cmdline()) for child in up.children()]
    assert any("redis-server" in command for command in commands)
    assert any("cli serve" in command for command in commands)
    assert any("cli worker" in command for command in commands)


def test_lines_of_the_children_are_passed_on(up: Up) -> None:
    assert "gateway | " in up.log.read_text()


def test_the_gateway_alone_says_where_it_listens() -> None:
    argv = [sys.executable, "-m", "cli", "serve", "--port", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"listens on (http://\S+)", process.stdout.readline())
        assert found
        with Service(found[1]) as service:
            assert service.answers("/livez", seconds=10)
        process.terminate()
    assert process.returncode in (0, -signal.SIGTERM)


def test_an_answer_is_not_held_back_until_the_client_confirms_its_first_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUIDEPOST_PORT", "0")
    with _listen() as listener:
        assert listener.proto == socket.IPPROTO_TCP  # what asyncio looks at before it sets TCP_NODELAY


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda how: how.name)
def test_whatever_ends_it_no_child_stays(how: signal.Signals, start: Start) -> None:
    with start("--workers", "0") as up:
        children = up.children()
        assert len(children) >= 2
        up.process.send_signal(how)
        up.process.wait(30)
        _, alive = psutil.wait_procs(children, timeout=15)
    assert not alive
