"""Every parser of a client's bytes: what comes in is read, or refused as documented. Nothing else is ever raised."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from guidance.picture import PREFIX, SUFFIX, TYPES, Picture, broken, data_url, digest, pixels, size
from guidance.spec import GuidanceSpec
from jobs.addresses import Allowed, literal
from jobs.api_keys import ApiKey
from jobs.comparison_request import ComparisonRequest
from jobs.correlation import trace_context
from jobs.encoding import encode
from jobs.grid import variants
from jobs.ids import is_id
from jobs.provenance import NoProvenance, read, text
from jobs.request import GenerationRequest, RequestProblems, resolve
from jobs.webhook import Webhook
from service.access import _identified
from service.idempotency import LONGEST_KEY, once
from service.negotiation import (
    MAX_CANCEL_AFTER_SECONDS,
    MAX_WAIT_SECONDS,
    cancel_after_seconds,
    choose,
    unchanged,
    wait_seconds,
)
from service.openai.request import ImageGenerationRequest
from service.outbound import retry_after
from service.pointers import MOST_ITEMS, problem_items
from service.problems import Refusal
from service.routes.events import _number
from tests.fuzz.examples import BODIES, COMPARISONS, HEADERS, JSON, damaged, fuzzed, mutated
from tests.jobs.requests import TEXT, a_request
from tests.security.hostile import accepted, refused, saved

pytestmark = [  # Pillow's, of what it reads all the same
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]
PICTURE = TypeAdapter(Picture)
OFFERS = ["image/png", "image/webp"]


def told(error: ValidationError, body: Any) -> None:
    """The refusal can be told, and is no longer than it may be."""
    items = problem_items(error.errors(), body)
    assert 1 <= len(items) <= MOST_ITEMS
    assert len(json.dumps([item.model_dump() for item in items])) < 10**6


@fuzzed
@given(JSON | mutated(BODIES))
def test_a_body_is_a_request_that_can_be_run_or_is_refused(body: Any) -> None:
    try:
        request = resolve(GenerationRequest.model_validate(body), TEXT)
    except ValidationError as error:
        told(error, body)
    except RequestProblems as refusal:
        assert refusal.problems
    else:
        assert GenerationRequest.model_validate_json(request.model_dump_json()) == request


@fuzzed
@given(JSON | mutated(COMPARISONS))
def test_a_body_is_a_comparison_or_is_refused(body: Any) -> None:
    try:
        request = ComparisonRequest.model_validate(body)
        assert len(variants(request)) == request.count
    except ValidationError as error:
        told(error, body)
    except RequestProblems as refusal:
        assert refusal.problems


@fuzzed
@given(JSON | mutated([{"prompt": "a", "size": "64x64", "n": 2}, {"prompt": "a", "stream": True}]))
def test_a_body_is_a_request_of_openais_or_is_refused(body: Any) -> None:
    try:
        ImageGenerationRequest.model_validate(body).generation()
    except ValidationError as error:
        told(error, body)


@fuzzed
@given(JSON | mutated([body["guidance"] for body in BODIES]))
def test_a_body_is_a_guidance_spec_or_is_refused(body: Any) -> None:
    try:
        GuidanceSpec.model_validate(body)
    except ValidationError as error:
        told(error, body)


@fuzzed
@given(HEADERS | st.from_regex(r"[a-z*]{1,5}/[a-z*]{1,5}(;q=[0-9.]{1,5})?(, image/png;q=0)?", fullmatch=True))
def test_accept_chooses_or_refuses(header: str) -> None:
    try:
        assert choose(header, OFFERS) in OFFERS
    except Refusal as refusal:
        assert refusal.status == 406


@fuzzed
@given(HEADERS | st.from_regex(r'(W/)?"[a-z]{0,4}"(, .{0,4})?|\*', fullmatch=True))
def test_if_none_match_matches_or_does_not(header: str) -> None:
    assert unchanged('"abc"', header) in (True, False)


@fuzzed
@given(HEADERS | st.from_regex(r"[a-z=, ]{0,9}wait ?= ?\"?\d{1,12}\"?[;, ].{0,5}", fullmatch=True))
def test_prefer_asks_for_a_bounded_wait_or_for_none(header: str) -> None:
    seconds = wait_seconds(header)
    assert seconds is None or 0 <= seconds <= MAX_WAIT_SECONDS


@fuzzed
@given(HEADERS | st.from_regex(r"\d{1,9}(\.\d{0,8})?[smhd]?", fullmatch=True))
def test_cancel_after_is_a_bounded_time_or_is_refused(header: str) -> None:
    try:
        seconds = cancel_after_seconds(header)
        assert seconds is not None and 0 < seconds <= MAX_CANCEL_AFTER_SECONDS
    except Refusal as refusal:
        assert refusal.status == 422


@fuzzed
@given(HEADERS | st.from_regex(r"\d{0,20}", fullmatch=True))
def test_last_event_id_is_a_number_or_is_refused(header: str) -> None:
    try:
        assert 0 <= _number(header) < 10**15
    except Refusal as refusal:
        assert refusal.status == 422


@fuzzed
@given(HEADERS | st.text("ab", min_size=LONGEST_KEY - 1, max_size=LONGEST_KEY + 1))
def test_an_idempotency_key_is_taken_or_refused(header: str) -> None:
    try:
        assert once(header, a_request()) is not None
    except Refusal as refusal:
        assert refusal.status == 422


@fuzzed
@given(HEADERS | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,3})?", fullmatch=True), HEADERS)
def test_a_trace_context_is_kept_or_left_out(parent: str, state: str) -> None:
    kept = trace_context({"traceparent": parent, "tracestate": state})
    assert kept.items() <= {"traceparent": parent, "tracestate": state}.items()


KEY = ApiKey(id="0" * 12, sha256="0" * 64, tenant="t", created_at=datetime.now(UTC))


@fuzzed
@given(HEADERS | st.from_regex(r"[Bb]earer +gp_0{11}[01]_[0-9a-f]{63,65} ?", fullmatch=True))
def test_an_authorization_opens_nothing_without_its_secret(header: str) -> None:
    with pytest.raises(Refusal) as refusal:
        _identified(header, {KEY.id.encode(): KEY.model_dump_json().encode()})
    assert refusal.value.status == 401


@fuzzed
@given(st.text(max_size=60) | st.from_regex(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n?", fullmatch=True))
def test_a_cursor_or_an_id_has_their_form_or_is_none(cursor: str) -> None:
    if is_id(cursor):
        assert len(cursor) == 36 and set(cursor) <= set("0123456789abcdef-")


@fuzzed
@given(
    st.text(max_size=80)
    | st.from_regex(r"https?://([a-z]{1,8}@)?[a-z0-9.:\[\]%-]{0,24}(:\d{0,6})?(/[ -~]{0,20})?", fullmatch=True)
)
def test_a_webhook_is_one_that_may_be_posted_to_or_is_refused(url: str) -> None:
    try:
        webhook = Webhook.model_validate({"url": url})
    except ValidationError as error:
        told(error, {"url": url})
    else:
        assert {problem.code for problem in webhook.problems(Allowed())} <= {"insecure_url", "private_address"}
        assert webhook.receiver


@fuzzed
@given(st.text(max_size=60))
def test_a_host_is_an_address_or_a_name(host: str) -> None:
    literal(host)


@fuzzed
@given(HEADERS)
def test_a_receivers_retry_after_is_a_time_that_can_be_waited(header: str) -> None:
    assert 0 <= retry_after(header) < math.inf


FILES = [data for _, data in accepted().values() if len(data) < 10_000]
FILES += [data for _, data, _ in refused().values() if len(data) < 10_000]
FILES += [saved(PIL.Image.effect_noise((9, 7), 50), format) for format in ("png", "jpeg", "webp")]


@fuzzed
@given(damaged(FILES) | st.binary(max_size=200), st.sampled_from(sorted(TYPES)))
def test_a_picture_is_decoded_or_refused(data: bytes, media_type: str) -> None:
    try:
        url = PICTURE.validate_python(data_url(data, media_type))
    except ValidationError as error:
        told(error, None)
    else:
        width, height = size(url)
        assert broken(url) or pixels(url).shape == (1, 3, height, width)
        assert digest(url).startswith("sha256:")


@fuzzed
@given(st.text(max_size=60) | st.text(max_size=60).map(lambda text: f"{PREFIX}image/png{SUFFIX}{text}"))
def test_a_data_url_is_one_or_is_refused(url: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        PICTURE.validate_python(url)
    told(refusal.value, None)


SAYING = [encode(np.zeros((8, 8, 3), np.uint8), format, text(a_request(), 7)) for format in ("png", "webp", "jpeg")]


@fuzzed
@given(damaged(SAYING))
def test_a_file_says_a_request_or_that_it_has_none(data: bytes) -> None:
    try:
        assert isinstance(read(data), dict)
    except NoProvenance as error:
        assert str(error)


@fuzzed
@given(JSON | mutated([{"guidepost": "1", "request": BODIES[0]}]))
def test_what_a_file_says_is_a_request_of_known_fields_or_is_refused(said: Any) -> None:
    data = encode(np.zeros((1, 1, 3), np.uint8), "png", json.dumps(said))
    try:
        assert not read(data).keys() & {"webhook", "metadata", "priority"}
    except NoProvenance as error:
        assert str(error)
