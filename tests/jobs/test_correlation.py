"""The identifiers of the work at hand, and W3C trace context by its grammar."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from jobs.correlation import Correlation, bind, correlated, current, trace_context

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_what_a_thread_learns_is_known_to_who_started_it() -> None:
    with correlated(Correlation("request")), ThreadPoolExecutor(1) as threads:
        threads.submit(copy_context().run, bind, generation_id="generation").result()
        assert current().labels == {"request_id": "request", "generation_id": "generation"}


def test_outside_of_any_work_there_is_nothing_to_bind() -> None:
    bind(tenant="somebody")
    assert current() == Correlation()


def test_work_within_work_has_its_own() -> None:
    with correlated(Correlation("outer")):
        with correlated(Correlation("inner")):
            bind(tenant="somebody")
        assert current() == Correlation("outer")


@pytest.mark.parametrize("parent", [PARENT, PARENT.replace("00-", "cc-", 1) + "-more"])
def test_a_valid_traceparent_is_kept(parent: str) -> None:
    assert trace_context({"traceparent": parent, "tracestate": "a=1"}) == {"traceparent": parent, "tracestate": "a=1"}
    assert Correlation(traceparent=parent).trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "parent",
    [
        "",
        PARENT.upper(),
        PARENT + "-more",
        PARENT + "\n",
        "ff" + PARENT[2:],
        PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        PARENT.replace("00f067aa0ba902b7", "0" * 16),
        PARENT[:-1],
    ],
)
def test_a_traceparent_that_is_none_is_left_out_with_its_tracestate(parent: str) -> None:
    assert trace_context({"traceparent": parent, "tracestate": "a=1"}) == {}


@pytest.mark.parametrize("state", ["", "a=\n", "a=" + "x" * 512, "ä=1"])
def test_a_tracestate_that_is_none_is_left_out_alone(state: str) -> None:
    assert trace_context({"traceparent": PARENT, "tracestate": state}) == {"traceparent": PARENT}
