"""An answer that differs from what a page shows is told apart."""

from __future__ import annotations

import pytest

from tests.docs.answer import elided, misfit

ID = '{"id": "019a1b2c-0000-7000-8000-000000000001"}'
OTHER = '{"id": "019a1b2c-0000-7000-8000-000000000002"}'


def test_a_bare_ellipsis_is_a_member_where_a_name_is_due_and_a_value_elsewhere() -> None:
    assert elided('{"a": ..., "b": [1, ...], ...}') == {"a": "...", "b": [1, "..."], "...": "..."}


@pytest.mark.parametrize(
    ("language", "shown", "real"),
    [
        ("json", ID, OTHER),
        ("json", '{"a": 0.12, ...}', '{"a": 0.1249, "b": 1}'),
        ("json", "[1, ...]", "[1, 2, 3]"),
        ("json", '{"a": "x ... z", "t": "2026-01-01T00:00:00Z"}', '{"a": "x y z", "t": "2027-02-03T04:05:06.7Z"}'),
        ("text", "one\n...\nthree", "one\ntwo\n2.5\nthree\n"),
        ("http", "HTTP/1.1 200 OK\nx-a: 1\n\n{...}", 'HTTP/1.1 200 OK\r\nb: 2\r\nX-A: 1\r\n\r\n{"c": 3}'),
        ("http", "HTTP/1.1 304 Not Modified", "HTTP/1.1 304 Not Modified\r\nb: 2\r\n\r\n"),
    ],
)
def test_what_the_page_leaves_open_may_be_anything(language: str, shown: str, real: str) -> None:
    assert misfit(language, shown, real) is None


@pytest.mark.parametrize(
    ("language", "shown", "real"),
    [
        ("json", '{"a": 1}', '{"a": 1, "b": 2}'),
        ("json", '{"a": 1, ...}', '{"b": 2}'),
        ("json", '{"a": 1}', '{"a": true}'),
        ("json", '{"a": 0.12}', '{"a": 0.126}'),
        ("json", "[1, 2, ...]", "[1]"),
        ("json", "[1]", "[1, 2]"),
        ("json", ID, '{"id": "none"}'),
        ("text", "one ... three", "one two"),
        ("http", "HTTP/1.1 200 OK\n\n{...}", "HTTP/1.1 404 Not Found\r\n\r\n{}"),
        ("http", "HTTP/1.1 200 OK\nx-a: 1", "HTTP/1.1 200 OK\r\n\r\n{}"),
    ],
)
def test_what_the_page_says_must_be_so(language: str, shown: str, real: str) -> None:
    assert misfit(language, shown, real) is not None
