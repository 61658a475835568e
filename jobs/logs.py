"""Where log lines go and what they look like, in every process of the service."""

from __future__ import annotations

import json
import logging
import sys
import threading
from typing import Any, TextIO

from pythonjsonlogger.core import RESERVED_ATTRS, BaseJsonFormatter
from pythonjsonlogger.json import JsonFormatter

from jobs.correlation import current
from jobs.settings import Settings

OURS = ("cli", "guidance", "jobs", "service", "workers", "uvicorn")
"""Loggers that GUIDEPOST_LOG_LEVEL is for. Other packages' debug lines hold headers and bodies: only their warnings."""

HEAD = ["levelname", "name", "message"]
FIELDS: dict[str, Any] = {
    "rename_fields": {"levelname": "level", "name": "logger", "process": "pid"},
    "timestamp": "time",
    "reserved_attrs": [*RESERVED_ATTRS, "color_message"],
}


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Send this process's log to `stream`, by default stderr, as the settings say."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        JsonFormatter([*HEAD, "process"], **FIELDS) if settings.log_format == "json" else TextFormatter(HEAD, **FIELDS)
    )
    handler.addFilter(_correlate)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(settings.log_level.upper())
    logging.captureWarnings(True)
    threading.excepthook = _thread_failed
    sys.excepthook = _failed


class TextFormatter(BaseJsonFormatter):
    """Time, level, logger and message, then what else there is as name=value; a traceback on lines of its own."""

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        time = f"{log_data.pop('time').isoformat(timespec='milliseconds')}"
        head = [time, *(str(log_data.pop(name)) for name in ("level", "logger", "message"))]
        trace = log_data.pop("exc_info", None)
        line = " ".join([*head, *(f"{name}={_value(value)}" for name, value in log_data.items())])
        return f"{line}\n{trace}" if trace else line


def _value(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if text.isprintable() and text and not set(text) & {" ", '"', "="} else json.dumps(text)


def _correlate(record: logging.LogRecord) -> bool:
    """Add the identifiers of the work at hand, unless the line names its own."""
    for name, value in current().labels.items():
        record.__dict__.setdefault(name, value)
    return True


def _failed(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger(__name__).critical("the process failed", exc_info=(kind, error, trace))


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    if issubclass(failed.exc_type, SystemExit) or failed.exc_value is None:
        return
    name = failed.thread.name if failed.thread else "?"
    error = (failed.exc_type, failed.exc_value, failed.exc_traceback)
    logging.getLogger(__name__).critical("thread %s failed", name, exc_info=error)
