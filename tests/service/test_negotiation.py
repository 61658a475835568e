"""Accept and Prefer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import text

from service.negotiation import choose, wait_seconds
from service.problems import Refusal

OFFERS = ["application/json", "image/png"]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("image/png", "image/png"),
        ("IMAGE/PNG", "image/png"),
        ("image/*", "image/png"),
        ("text/html, image/png;q=0.5", "image/png"),
        ("application/json;q=0.5, image/png;q=0.8", "image/png"),
        ("*/*;q=0.1, image/png", "image/png"),
        ("application/json;q=0, */*", "image/png"),
        ("application/problem+json", "application/json"),
        ("application/problem+json, image/png", "image/png"),
    ],
)
def test_the_best_offer_is_chosen(accept: str | None, chosen: str) -> None:
    assert choose(accept, OFFERS) == chosen


@pytest.mark.parametrize("accept", ["text/html", "image/png;q=0", "image/png;q=x"])
def test_no_offer_is_a_refusal(accept: str) -> None:
    with pytest.raises(Refusal) as refusal:
        choose(accept, OFFERS)
    assert refusal.value.status == 406


@given(text())
def test_any_accept_is_answered_or_refused(accept: str) -> None:
    try:
        assert choose(accept, OFFERS) in OFFERS
    except Refusal as refusal:
        assert refusal.status == 406


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("wait=10", 10),
        ("wait=0", 0),
        ("wait=61", 60),
        ("wait=999999999", 60),
        ("respond-async, wait=10", 10),
        ('wait = "5"; foo', 5),
        ("wait", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("await=10", None),
        ("respond-async", None),
    ],
)
def test_wait_is_read_and_bounded(prefer: str | None, seconds: int | None) -> None:
    assert wait_seconds(prefer) == seconds
