"""What a client asks to be told by HTTP, and what became of it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from guidance.info import Problem
from jobs.addresses import Allowed, literal, public

LONGEST_URL = 2048
LONGEST_HOST = 253
NAME = re.compile(r"(?=.*[a-z])[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?")
LOCAL = ".localhost"


def _url(text: str) -> str:
    """A URL that can be posted to, as the HTTP client reads it."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise _invalid(str(error)) from None
    if url.scheme not in ("https", "http"):
        raise _invalid("an absolute https URL is needed")
    if url.userinfo:
        raise _invalid("no user or password may stand in it; what is sent is signed instead")
    host = url.raw_host.decode()
    if literal(host) is None and not (len(host) <= LONGEST_HOST and NAME.fullmatch(host)):
        raise _invalid("the host is neither a name nor an address")
    if url.port is not None and not 1 <= url.port <= 65535:
        raise _invalid("the port is not one of 1 to 65535")
    return text


def _invalid(why: str) -> PydanticCustomError:
    return PydanticCustomError("invalid_url", "{why}", {"why": why})


class Webhook(BaseModel):
    """Where to post what happened. What arrives is signed: see docs/webhooks.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, AfterValidator(_url)] = Field(
        max_length=LONGEST_URL, description="https, on the public internet", json_schema_extra={"format": "uri"}
    )
    events: tuple[Literal["done"], ...] = Field(
        ("done",), min_length=1, max_length=8, description="done: it succeeded, failed, was canceled or expired"
    )

    @property
    def receiver(self) -> str:
        """Host and port: what of the URL is no secret."""
        return httpx.URL(self.url).netloc.decode()

    def problems(self, allowed: Allowed) -> list[Problem]:
        """Why nothing would be sent there; names are looked up when something is sent."""
        url = httpx.URL(self.url)
        host = url.raw_host.decode()
        if allowed.trusts(host):
            return []
        if url.scheme != "https":
            return [_problem("insecure_url", f"url = {self.url!r}: https is needed")]
        address = literal(host)
        if f".{host.rstrip('.')}".endswith(LOCAL) or (address is not None and not public(address)):
            return [_problem("private_address", f"url = {self.url!r}: {host} is not on the public internet")]
        return []


def _problem(code: str, detail: str) -> Problem:
    return Problem("/webhook/url", code, detail)


class Delivery(BaseModel):
    """What became of a webhook so far."""

    model_config = ConfigDict(frozen=True)

    state: Literal["pending", "delivered", "failed"] = "pending"
    attempts: int = 0
    last_attempt_at: datetime | None = None
    last_status: int | None = None
    """HTTP status that the receiver answered; None where it did not."""
    last_error: str | None = None
    """Stable name of what went wrong: http_status, gone, timeout, unreachable, refused_address, internal."""
    next_attempt_at: datetime | None = None
