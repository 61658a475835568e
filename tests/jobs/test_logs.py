"""Lines of the log, as text and as JSON."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import threading
import warnings
from datetime import datetime
from pathlib import Path

from jobs.correlation import Correlation, correlated
from jobs.logs import configure
from jobs.settings import Settings

log = logging.getLogger("service.tests")


def test_a_text_line_ends_with_what_else_there_is(log_stream: io.StringIO) -> None:
    configure(Settings(), log_stream)
    with correlated(Correlation("r", "g", "t", f"00-{'a' * 32}-{'b' * 16}-01")):
        log.info("done: %s", "all", extra={"seconds": 1.23456789, "why": 'so "it" is\n', "none": ""})
    [line] = log_stream.getvalue().splitlines()
    time, rest = line.split(" ", 1)
    assert datetime.fromisoformat(time).utcoffset() is not None
    ids = f"request_id=r generation_id=g tenant=t trace_id={'a' * 32}"
    assert rest == rf'INFO service.tests done: all seconds=1.23457 why="so \"it\" is\n" none="" {ids}'


def test_a_json_line_is_one_object(log_stream: io.StringIO) -> None:
    configure(Settings(log_format="json"), log_stream)
    with correlated(Correlation("r")):
        try:
            raise ValueError("broken\nin two")
        except ValueError:
            log.exception("failed", extra={"count": 3})
    line = json.loads(log_stream.getvalue())
    assert (line["level"], line["logger"], line["message"]) == ("ERROR", "service.tests", "failed")
    assert (line["count"], line["request_id"]) == (3, "r")
    assert line["exc_info"].endswith("ValueError: broken\nin two")
    assert "generation_id" not in line


def test_a_line_that_names_its_own_work_keeps_it(log_stream: io.StringIO) -> None:
    configure(Settings(log_format="json"), log_stream)
    with correlated(Correlation("here")):
        log.info("of another", extra={"request_id": "there"})
    assert json.loads(log_stream.getvalue())["request_id"] == "there"


def test_the_level_is_for_our_lines_alone(log_stream: io.StringIO) -> None:
    configure(Settings(log_level="debug"), log_stream)
    log.debug("ours")
    logging.getLogger("httpx").info("theirs: https://example.test/?key=secret")
    logging.getLogger("httpx").warning("a warning of theirs")
    assert re.findall(r"tests ours|theirs.*|a warning of theirs", log_stream.getvalue()) == [
        "tests ours",
        "a warning of theirs",
    ]


def test_warnings_and_threads_that_fail_are_lines_of_the_log(log_stream: io.StringIO) -> None:
    configure(Settings(log_format="json"), log_stream)
    with warnings.catch_warnings(action="always"):
        logging.captureWarnings(True)
        warnings.warn("old", stacklevel=1)
    thread = threading.Thread(target=lambda: 1 / 0, name="engine")
    thread.start()
    thread.join()
    warned, failed = map(json.loads, log_stream.getvalue().splitlines())
    assert warned["logger"] == "py.warnings"
    assert failed["message"] == "thread engine failed"
    assert "ZeroDivisionError" in failed["exc_info"]


def test_what_ends_the_process_is_a_line_of_the_log() -> None:
    code = "from jobs.logs import configure; from jobs.settings import Settings; configure(Settings(log_format='json'))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", f"{code}; 1 / 0"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 1
    assert json.loads(done.stderr)["message"] == "the process failed"
