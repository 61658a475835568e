"""What a request may say of a webhook."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.addresses import Allowed
from jobs.webhook import Webhook

HOSTS = st.from_regex(r"[0-9a-fx.:%\[\]@\\]{1,20}", fullmatch=True)
URLS = st.one_of(
    st.text(max_size=60),
    st.builds(
        "{}://{}{}/{}".format,
        st.sampled_from(["https", "http", "ws", ""]),
        st.text(max_size=30) | HOSTS,
        st.sampled_from(["", ":1", ":99999", ":x"]),
        st.text(max_size=10),
    ),
)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "Field required"),
        ({"url": "https://a.example", "evnets": []}, "Extra inputs"),
        ({"url": "https://a.example", "events": []}, "at least 1"),
        ({"url": "https://a.example", "events": ["started"]}, "'done'"),
        ({"url": "https://a.example/" + "x" * 2048}, "at most 2048"),
        ({"url": "a.example/hook"}, "absolute https URL"),
        ({"url": "//a.example/hook"}, "absolute https URL"),
        ({"url": "ftp://a.example/"}, "absolute https URL"),
        ({"url": "file:///etc/passwd"}, "absolute https URL"),
        ({"url": "https://anna:secret@a.example/"}, "no user or password"),
        ({"url": "https://a.example\\@b.example/"}, "no user or password"),
        ({"url": "https:///hook"}, "neither a name nor an address"),
        ({"url": "https://a b.example/"}, "neither a name nor an address"),
        ({"url": "https://%31%32%37.0.0.1/"}, "neither a name nor an address"),
        ({"url": "https://127.0.0.1./"}, "neither a name nor an address"),
        ({"url": "https://*.example/"}, "neither a name nor an address"),
        ({"url": f"https://{'a' * 64}.example/"}, "neither a name nor an address"),
        ({"url": "https://a.example:0/"}, "port"),
        ({"url": "https://a.example:65536/"}, "port"),
        ({"url": "https://a.example:http/"}, "port"),
        ({"url": "https://a.example/\r\nHost: b"}, "non-printable"),
        ({"url": "https://☃.example/"}, "IDNA"),
        ({"url": "https://[::1"}, "port"),
    ],
    ids=str,
)
def test_what_cannot_be_posted_to_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Webhook.model_validate(given)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://a.example/", "insecure_url"),
        ("https://localhost/", "private_address"),
        ("https://api.localhost./", "private_address"),
        ("https://127.0.0.1:8000/", "private_address"),
        ("https://2130706433/", "private_address"),
        ("https://0x7f.1/", "private_address"),
        ("https://169.254.169.254/latest/", "private_address"),
        ("https://[::1]/", "private_address"),
        ("https://[::ffff:10.0.0.1]/", "private_address"),
        ("https://[64:ff9b::a00:1]/", "private_address"),
    ],
)
def test_what_would_not_be_posted_to_is_known_at_once(url: str, code: str) -> None:
    assert [problem.code for problem in Webhook(url=url).problems(Allowed())] == [code]


@pytest.mark.parametrize(
    "url", ["https://a.example", "https://a.example:8443/h?k=1", "https://8.8.8.8/", "https://ä.de/"]
)
def test_the_public_internet_is_fine(url: str) -> None:
    assert Webhook(url=url).problems(Allowed()) == []
    assert Webhook(url=url).events == ("done",)


@pytest.mark.parametrize("url", ["http://receiver:9000/", "http://10.1.2.3/", "https://10.1.2.3/"])
def test_an_operator_may_allow_more(url: str) -> None:
    assert Webhook(url=url).problems(Allowed.parse("receiver,10.1.0.0/16")) == []


@drawn(url=URLS)
def test_no_text_is_more_than_refused(url: str) -> None:
    try:
        problems = Webhook(url=url).problems(Allowed())
    except ValidationError:
        return
    assert {problem.pointer for problem in problems} <= {"/webhook/url"}
