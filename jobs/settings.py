"""Every setting of the service, read from environment variables that begin with GUIDEPOST_."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs.addresses import Allowed

LOCAL_REDIS = "redis://127.0.0.1:6379/0"
STORES = ("file", "s3", "gs", "az")


class Settings(BaseSettings):
    """Times are seconds, sizes are bytes unless the description says otherwise."""

    # Errors end up in logs, and URLs hold passwords.
    model_config = SettingsConfigDict(env_prefix="GUIDEPOST_", frozen=True, extra="ignore", hide_input_in_errors=True)

    redis_url: str | None = Field(
        None,
        repr=False,
        description=f"redis://, rediss:// or unix:// URL; unset: embedded in `guidepost up`, else {LOCAL_REDIS}; "
        "password, authority and client certificate: docs/security.md",
    )
    data_dir: Path = Field(Path("guidepost-data"), description="folder of the embedded Redis and of local artifacts")
    artifacts_url: str | None = Field(
        None,
        description="where images are kept; unset: `artifacts` in data_dir; s3://bucket/prefix: an S3-compatible "
        "store, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, or a role",
    )
    artifacts_redirect: bool = Field(
        False, description="send who asks for an image to the object store, by a link that works for 5 minutes"
    )
    artifacts_retry_seconds: float = Field(
        60.0, ge=0, description="how long a worker tries to store images in an object store that does not answer"
    )

    models: str = Field("shapes", description='what workers load: "shapes", or "shapes,sd15=/models/sd15"')
    host: str = Field("127.0.0.1", description="address the gateway listens on")
    port: int = Field(8000, ge=0, le=65535, description="port the gateway listens on")
    open: bool = Field(
        False, description="answer without API keys, while there is none, also on an address that others reach"
    )

    concurrency: int = Field(8, ge=1, description="generations that one worker process runs at a time")
    express: int = Field(
        2, ge=0, description="short generations that it takes beside those while all their places are taken"
    )
    express_evaluations: int = Field(
        32, ge=0, description="planned network evaluations up to which a generation counts as short"
    )
    max_batch_rows: int | None = Field(
        None, ge=1, description="rows in one forward of the network; unset: what memory has room for on CUDA, else 16"
    )
    pad_to_rows: int | None = Field(
        None,
        ge=2,
        description="rows that every forward is padded to, and may have at most: for equal bits in any batch on CUDA; "
        "unset: as few as may be, which on a CPU is enough for that",
    )
    threads: int | None = Field(None, ge=1, description="CPU threads of a worker; unset: torch decides")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description="precision of the network; auto: float32, and half precision on CUDA, as stored or float16"
    )
    graphs: Literal["auto", "off"] = Field(
        "auto",
        description="record forwards, once for each batch size, and replay them; auto: CUDA graphs, traces on a CPU",
    )
    compile: bool = Field(
        False, description="compile networks with inductor, which takes a C++ compiler and minutes at the start"
    )

    max_n: int = Field(16, ge=1, description="images per generation")
    max_steps: int = Field(250, ge=1, description="sampler steps per generation")
    max_queue: int = Field(10_000, ge=1, description="generations that may wait; more are refused with 503")
    max_queue_evaluations: int = Field(
        1_000_000, ge=1, description="network evaluations that may wait; more are refused with 503"
    )
    max_queue_seconds: float | None = Field(
        None, gt=0, description="seconds that what waits is predicted to take; more is refused with 503; unset: any"
    )
    max_body_bytes: int = Field(6 * 2**20, ge=1024, description="size of a request body; two pictures fit")
    max_events: int = Field(2048, ge=16, description="events kept per generation")

    result_ttl_seconds: int = Field(86_400, ge=1, description="how long images and diagnostics are kept")
    record_ttl_seconds: int = Field(7 * 86_400, ge=1, description="how long the record of a generation outlives it")
    idempotency_seconds: int = Field(86_400, ge=1, description="how long an Idempotency-Key is remembered")
    run_seconds: float = Field(3600.0, gt=0, description="how long a generation may run before it fails")
    housekeeping_seconds: float = Field(1.0, gt=0, description="how often deadlines and expired bytes are looked for")
    lease_seconds: float = Field(10.0, gt=0, description="a worker that is silent for so long counts as lost")
    max_attempts: int = Field(3, ge=1, description="workers that one generation may lose before it fails")
    checkpoint_seconds: float = Field(
        5.0, ge=0, description="how often it is written down how far a generation is, to go on from there; 0: never"
    )
    checkpoint_bytes: int = Field(32 * 2**20, ge=0, description="size of such a checkpoint; a larger one is not kept")
    drain_seconds: float = Field(
        15.0, ge=0, description="for which a worker that is asked to end goes on; what then runs goes to another"
    )
    step_event_seconds: float = Field(0.05, ge=0, description="least time between two step events of one generation")
    heartbeat_seconds: float = Field(15.0, gt=0, description="longest silence on an event stream")
    webhook_allow: str = Field(
        "", description="hosts and networks, by comma, that webhooks may reach though they are private or have no https"
    )
    public_url: str | None = Field(None, description="where clients find the service; unset: webhooks carry paths")
    redis_timeout_seconds: float = Field(5.0, gt=0, description="how long an answer of Redis is waited for")

    log_format: Literal["text", "json"] = Field("text", description="lines for people, or one JSON object a line")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="the least that is logged")
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="port of a worker's own /metrics; unset: none, 0: a free one"
    )
    metrics_host: str = Field("127.0.0.1", description="address of a worker's own /metrics")
    otlp_endpoint: str | None = Field(
        None, description="OpenTelemetry collector (OTLP over HTTP) for traces, as http://localhost:4318; unset: none"
    )

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()  # processes started from other folders must mean the same one

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: str | None) -> str | None:
        if url:
            _insist_on_redis(url)
        return url

    @field_validator("artifacts_url")
    @classmethod
    def _known_store(cls, url: str | None) -> str | None:
        scheme = urlsplit(url or "file:").scheme
        if scheme not in STORES:
            raise ValueError(f"it must begin with one of {', '.join(f'{name}:' for name in STORES)}")
        return url

    @field_validator("webhook_allow")
    @classmethod
    def _hosts_and_networks(cls, text: str) -> str:
        Allowed.parse(text)
        return text

    @property
    def allowed(self) -> Allowed:
        """Where webhooks may go, beside the public internet."""
        return Allowed.parse(self.webhook_allow)

    @property
    def needs_no_key(self) -> bool:
        """Whether anyone may ask while no API key exists: where only this machine can, or where that is wanted."""
        return self.open or _is_loopback(self.host)

    @property
    def names(self) -> frozenset[str] | None:
        """The public names under which who needs no key may ask; None: any."""
        return None if self.open else frozenset({urlsplit(self.public_url or "").hostname or ""})

    @property
    def redis(self) -> str:
        """The URL to connect to."""
        return self.redis_url or LOCAL_REDIS

    @property
    def artifacts(self) -> str:
        """The URL that artifacts are kept under."""
        return self.artifacts_url or (self.data_dir / "artifacts").as_uri()


def _insist_on_redis(url: str) -> None:
    """ValueError, which does not quote the URL, where it cannot be one of a Redis; its options are looked at later."""
    if re.match(r"rediss?://[^@]*[/?#].*@", url):  # the password would pass for a host
        raise ValueError("what is special in a password must be percent-encoded: %2F is /, %23 is #, %3F is ?")
    try:
        parts = urlsplit(url)
        readable = parts.scheme in ("redis", "rediss", "unix") and parts.port != 0
    except ValueError:  # it quotes what stands in place of a port
        readable = False
    if not readable:
        raise ValueError("the scheme or the port is not one of a Redis URL")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"
