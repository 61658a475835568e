"""Children and their supervisor, with children that are one line of Python."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from cli.process import Child
from cli.supervisor import CRASHES, Role, Supervisor
from cli.up import roles

FOREVER = "import signal; print('here', flush=True); signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True)\nwhile 1: signal.pause()"
)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def child(code: str) -> Child:
    started = Child("child", python(code), os.environ)
    return started


def test_the_lines_of_a_child_carry_its_name(capfd: pytest.CaptureFixture[str]) -> None:
    ended = threading.Event()
    child("print('one'); print('two')").watch(lambda _: ended.set())
    assert ended.wait(10)
    assert capfd.readouterr().err == "child | one\nchild | two\n"


def test_lines_of_json_are_passed_on_as_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    ended = threading.Event()
    env = os.environ | {"GUIDEPOST_LOG_FORMAT": "json"}
    Child("child", python("print('{}')"), env).watch(lambda _: ended.set())
    assert ended.wait(10)
    assert capfd.readouterr().err == "{}\n"


def test_a_role_may_have_variables_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    tell = python("import os; print(os.environ['OWN'], os.environ['ALL'])")
    supervisor = Supervisor([Role("a", tell, env={"OWN": "1"})], os.environ | {"ALL": "2", "OWN": "0"})
    assert supervisor.run(lambda: False, lambda: None) == 1
    assert "a | 1 2\n" in capfd.readouterr().err


def test_workers_of_one_machine_have_ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.delenv("GUIDEPOST_METRICS_PORT", raising=False)
        assert [role.env for role in roles(listener, 2)] == [{}, {}, {}]
        for port, expected in (("9100", ["9100", "9101"]), ("0", ["0", "0"])):
            monkeypatch.setenv("GUIDEPOST_METRICS_PORT", port)
            gateway, *workers = roles(listener, 2)
            assert gateway.env == {}
            assert [role.env.get("GUIDEPOST_METRICS_PORT", port) for role in workers] == expected


def test_a_child_that_does_not_listen_is_killed() -> None:
    stubborn = child(STUBBORN)
    assert stubborn.process.stdout is not None
    with stubborn.process.stdout as lines:
        assert lines.readline() == b"here\n"
        stubborn.terminate()
        stubborn.join(0.2)
    assert stubborn.process.returncode == -signal.SIGKILL


def test_a_signal_ends_every_child() -> None:
    supervisor = Supervisor([Role("a", python(FOREVER)), Role("b", python(FOREVER))], os.environ)
    status = supervisor.run(lambda: True, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert status == 0
    assert [started.process.poll() for started in supervisor.children.values()] == [-signal.SIGTERM] * 2


def test_a_child_that_keeps_dying_ends_the_whole(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    mark = tmp_path / "announced"
    fails = f"import pathlib\nwhile not pathlib.Path({str(mark)!r}).exists(): pass\nexit(3)"
    supervisor = Supervisor([Role("a", python(FOREVER)), Role("b", python(fails))], os.environ)
    assert supervisor.run(lambda: True, mark.touch) == 1
    told = capfd.readouterr().err
    assert told.count("b ended with status 3: starting it again") == CRASHES - 1
    assert "giving up" in told
    assert supervisor.children["a"].process.returncode == -signal.SIGTERM


def test_a_child_that_cannot_start_ends_the_whole_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor([Role("a", python(FOREVER)), Role("b", python("exit(3)"))], os.environ)
    assert supervisor.run(lambda: False, lambda: None) == 1
    assert "b ended with status 3 before the service was ready: giving up" in capfd.readouterr().err


def test_a_child_that_died_once_is_started_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    stop = "os.kill(os.getppid(), signal.SIGINT)"
    again = f"import os, pathlib, signal; pathlib.Path({str(mark)!r}).exists() and {stop}; {FOREVER}"
    supervisor = Supervisor([Role("a", python(again))], os.environ)

    def kill_it() -> None:
        supervisor.children["a"].process.kill()
        supervisor.children["a"].process.wait()
        mark.touch()

    assert supervisor.run(lambda: True, kill_it) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_child_ends_with_a_killed_parent() -> None:
    orphan = "from cli.process import end_with_parent; end_with_parent(); " + FOREVER
    parent = (
        "import os, sys; from cli.process import Child; "
        f"child = Child('c', [sys.executable, '-c', {orphan!r}], os.environ); "
        "child.process.stdout.readline(); print(child.process.pid, flush=True); import signal; signal.pause()"
    )
    with subprocess.Popen(python(parent), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        grandchild = psutil.Process(int(process.stdout.readline()))
        process.kill()
    psutil.wait_procs([grandchild], timeout=10)
    assert not grandchild.is_running()
