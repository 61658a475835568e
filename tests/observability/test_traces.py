"""One trace from the client's request through the queue to the stored image."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from jobs.settings import Settings
from jobs.tracing import Tracing
from tests.observability.collector import collecting
from tests.observability.conftest import CALLER, SECRET, TRACE, Left

ROOT = Path(__file__).parents[2]


def test_gateway_and_worker_continue_the_trace_of_the_client(left: Left) -> None:
    ours = [span for span in left.spans if span.trace == TRACE]
    assert {span.process for span in ours} == {"guidepost-gateway", "guidepost-worker"}
    [request] = [span for span in ours if span.process == "guidepost-gateway"]
    run = left.span("generation run")
    assert {span.name: span.parent for span in ours} == {
        "POST /v1/generations": CALLER,
        "generation queue": request.id,
        "generation run": request.id,
        "sample": run.id,
        "store": run.id,
    }
    assert {span.state for span in ours} == {"vendor=1"}


def test_the_spans_of_a_run_follow_one_another_within_it(left: Left) -> None:
    run, sample, store = map(left.span, ("generation run", "sample", "store"))
    assert run.begin <= sample.begin <= sample.end <= store.begin <= store.end <= run.end


def test_a_span_says_what_it_took(left: Left) -> None:
    assert left.span("sample").attributes == {
        "guidepost.evaluations": "20",  # 2 images, 5 steps, with and without the condition
        "guidepost.mean_batch_rows": "4.0",
        "guidepost.steps": "5",
        "guidepost.images": "2",
    }
    assert left.span("generation run").attributes == {
        "guidepost.generation_id": left.id,
        "guidepost.model": "gaussians",
        "guidepost.attempt": "1",
        "guidepost.status": "succeeded",
    }


def test_a_request_that_names_no_trace_begins_one(left: Left) -> None:
    refused = [span for span in left.spans if span.attributes.get("http.response.status_code") == "422"]
    assert [(span.parent, span.trace == TRACE) for span in refused] == [("", False)]


def test_scrapes_and_probes_leave_no_spans(left: Left) -> None:
    assert not [span for span in left.spans if "/metrics" in span.attributes.get("http.route", "")]


def test_no_secret_is_in_a_span(left: Left) -> None:
    assert left.spans
    assert SECRET not in repr(left.spans)


def test_a_span_that_ends_in_an_error_says_which_and_no_more(left: Left) -> None:
    with collecting() as collector:
        tracing = Tracing(Settings(otlp_endpoint=collector.url), "worker")
        try:
            with tracing.span("store"):
                raise OSError(SECRET)
        except OSError:
            tracing.close()
    [span] = collector.spans
    assert (span.failed, span.attributes) == (True, {"error.type": "OSError"})
    assert SECRET not in repr(span)


def in_a_fresh_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


def test_without_an_endpoint_nothing_that_the_extra_installs_is_imported() -> None:
    done = in_a_fresh_python(
        "import sys; from jobs.settings import Settings; from jobs.tracing import Tracing; import service.app\n"
        "service.app.create_app(Settings()); tracing = Tracing(Settings(), 'worker')\n"
        "with tracing.span('run') as span: span.set(steps=3)\n"
        "assert tracing.here() == {}; tracing.close()\n"
        "extra = ('opentelemetry.exporter', 'opentelemetry.instrumentation', 'opentelemetry.sdk.trace')\n"
        "print([name for name in sys.modules if name.startswith(extra)])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_an_endpoint_without_the_extra_is_refused_with_the_remedy() -> None:
    done = in_a_fresh_python(
        "import sys; sys.modules['opentelemetry.exporter'] = None\n"
        "from jobs.settings import Settings; from jobs.tracing import Tracing\n"
        "Tracing(Settings(otlp_endpoint='http://localhost:4318'), 'gateway')"
    )
    assert "pip install 'guidepost[tracing]'" in done.stderr
