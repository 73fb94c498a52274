"""The one settings class. Every field is an environment variable with the prefix KENNEL_."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, HttpUrl, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.embeddings.naming import BUILT_IN_NAME, feature_name
from shared.outbound.addresses import parse_allow_list
from shared.outbound.smtp import parse_smtp_url

HEARTBEATS_MISSED = 3  # by a worker that no longer counts as online


class Settings(BaseSettings):
    """Read once at the start of a process and passed down; nothing else reads the environment."""

    # hide_input_in_errors: a traceback must not show all that was given, secrets among it.
    model_config = SettingsConfigDict(
        env_prefix="KENNEL_", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    # Where things are
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="Records and queue, in one database. `kennel up` starts an embedded server when unset.",
    )
    data_dir: Path = Field(
        Path(".kennel"), description="Documents, the embedded server's files, the generated key."
    )
    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port of the API.")
    flower_port: int = Field(5555, ge=0, le=65535, description="Port of Flower; always on loopback.")

    # Processes
    workers: int = Field(0, ge=0, le=256, description="Worker processes; 0 = one per core.")
    threads: int = Field(8, ge=1, le=256, description="Executions at a time in one worker process.")
    pool: Literal["threads", "prefork"] = Field("threads", description="Celery pool of a worker process.")
    demo: bool = Field(True, description="Load the demo namespace on first start.")
    api_key: SecretStr | None = Field(None, description="The bootstrap key; generated when unset.")
    task_events: bool = Field(
        True,
        description="One Celery message per execution, each visible in Flower; off: chains, for throughput.",
    )
    log_format: Literal["human", "json"] = Field(
        "human", description="One line per event, for people or machines."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe line to log."
    )

    # The execution record
    lease_ms: int = Field(
        10_000,
        ge=500,
        le=600_000,
        description="A worker that is silent for this long loses its executions (ms).",
    )
    heartbeat_ms: int = Field(
        2_500, ge=100, le=60_000, description="How often a worker renews its leases (ms)."
    )
    sweep_ms: int = Field(
        1_000, ge=100, le=60_000, description="How often a worker looks for lost executions (ms)."
    )
    max_attempts: int = Field(
        3, ge=1, le=100, description="Attempts before an execution whose workers died is failed."
    )
    retries_max: int = Field(
        5,
        ge=0,
        le=100,
        description="Times an execution is tried again after errors of a stage that may pass.",
    )
    retry_first_ms: int = Field(
        1_000, ge=1, le=60_000, description="Longest wait before the first of these; then it doubles (ms)."
    )
    retry_max_ms: int = Field(
        60_000,
        ge=1,
        le=3_600_000,
        description="Longest wait before any of these, whatever a service asks for (ms).",
    )
    progress_interval_ms: int = Field(
        20,
        ge=0,
        le=1000,
        description="Progress of stages shorter than this is merged into the next write (ms); 0 writes each.",
    )
    result_ttl_s: int = Field(
        86_400, ge=60, le=31_536_000, description="How long results and details are kept (s)."
    )
    summary_ttl_s: int = Field(
        2_592_000, ge=60, le=31_536_000, description="How long summaries and tombstones are kept (s)."
    )
    history_max: int = Field(100_000, ge=10, le=10_000_000, description="Summaries kept per retriever.")
    queue_max: int = Field(
        100_000, ge=1, le=10_000_000, description="Pending executions before a submit is answered 429."
    )
    namespace_running_max: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Executions of one namespace that run at a time; unset = any number.",
    )
    namespace_waiting_max: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Pending executions of one namespace before 429; unset = any number.",
    )
    idempotency_ttl_s: int = Field(
        86_400, ge=60, le=604_800, description="How long an Idempotency-Key is remembered (s)."
    )

    # Limits and waits
    execute_wait_s: float = Field(
        0, ge=0, le=60, description="How long execute holds its answer by default (s); 0 = submit and poll."
    )
    streams_max: int = Field(
        2_000, ge=0, le=100_000, description="Open event streams of an API process before 429."
    )
    body_max_bytes: int = Field(10_000_000, ge=1_000, description="Largest request body (bytes).")
    batch_max_bytes: int = Field(
        100_000_000,
        ge=1_000,
        description="Largest body of POST /v1/batches, which is read as a stream (bytes).",
    )
    result_max_bytes: int = Field(16_000_000, ge=1_000, description="Largest stored result (bytes).")
    vector_cache_bytes: int = Field(
        500_000_000,
        ge=0,
        description="Vectors that a process keeps in memory for searches; more are read each time (bytes).",
    )
    redis_timeout_s: float = Field(
        2.0, gt=0, le=60, description="Time an API request may spend on Redis before it is answered 503 (s)."
    )
    execution_max_time_ms: int = Field(
        300_000, ge=100, description="Run time of an execution without a budget of its own (ms)."
    )
    cancel_grace_s: float = Field(
        10.0,
        ge=0,
        le=3_600,
        description="Time a stage that must stop has to notice it, before it is ended by force (s).",
    )
    shutdown_grace_s: float = Field(
        4.0,
        ge=0,
        le=300,
        description="Time a stopping worker gives its stages before it hands them back (s).",
    )

    # Webhooks and other deliveries
    delivery_threads: int = Field(
        16, ge=1, le=256, description="Deliveries that a worker process sends at a time."
    )
    delivery_attempts: int = Field(
        12, ge=1, le=50, description="Tries before a delivery is given up; after that it can be sent by hand."
    )
    delivery_backoff_s: float = Field(
        5.0,
        ge=0.001,
        le=3_600,
        description="Pause after the first failed try (s); each further one is 3 times as long, at most 3 h.",
    )
    outbound_allow: str = Field(
        "",
        max_length=10_000,
        description="Internal hosts, addresses and networks that may be sent to, as a comma list.",
    )
    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="Mail server, `smtp://user:password@host:587` (STARTTLS) or `smtps://` (TLS).",
    )
    smtp_from: str = Field("", max_length=320, description="Sender of mails.")

    # Embeddings by an endpoint; without one the built-in model is all there is
    embeddings_url: str = Field(
        "",
        description="Base URL of an OpenAI-compatible API, often with `/v1`; its model is then the default.",
    )
    embeddings_model: str = Field("", max_length=200, description="The `model` asked of that endpoint.")
    embeddings_name: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_]{0,100}$",
        description="Last part of that model's feature URI; derived from the model when unset.",
    )
    embeddings_dimensions: int = Field(
        0, ge=0, le=8192, description="Numbers in a vector of that model; required with a URL."
    )
    embeddings_api_key: SecretStr = Field(
        SecretStr(""), description="Sent to that endpoint as a bearer token."
    )
    embeddings_timeout_s: float = Field(
        30.0, gt=0, le=300, description="Time one request to that endpoint may take (s)."
    )
    embeddings_batch: int = Field(64, ge=1, le=2048, description="Texts in one request to that endpoint.")
    embeddings_max_chars: int = Field(
        8_000, ge=1, le=1_000_000, description="Characters of a text that are sent; the rest is cut."
    )
    embeddings_query_prefix: str = Field(
        "", max_length=2_000, description="Put before a query, for models that want it (`query: `)."
    )
    embeddings_document_prefix: str = Field(
        "", max_length=2_000, description="Put before a document, for models that want it (`passage: `)."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.lease_ms < 3 * self.heartbeat_ms:
            raise ValueError(
                f"KENNEL_LEASE_MS ({self.lease_ms}) must be at least three KENNEL_HEARTBEAT_MS "
                f"({self.heartbeat_ms}), so that one late heartbeat loses nothing"
            )
        if self.retry_first_ms > self.retry_max_ms:
            raise ValueError(
                f"KENNEL_RETRY_FIRST_MS ({self.retry_first_ms}) must not exceed KENNEL_RETRY_MAX_MS "
                f"({self.retry_max_ms}), which bounds it"
            )
        if self.idempotency_ttl_s > self.result_ttl_s:
            raise ValueError(
                f"KENNEL_IDEMPOTENCY_TTL_S ({self.idempotency_ttl_s}) must not exceed KENNEL_RESULT_TTL_S "
                f"({self.result_ttl_s}): a key must not outlive the execution it stands for"
            )
        return self

    @model_validator(mode="after")
    def _embeddings_consistent(self) -> Settings:
        if self.embeddings_url:
            _check_base_url(self.embeddings_url)
            self._check_endpoint()
            return self
        for name, field in type(self).model_fields.items():
            if name.startswith("embeddings_") and getattr(self, name) != field.default:
                raise ValueError(f"KENNEL_{name.upper()} has no effect without KENNEL_EMBEDDINGS_URL")
        return self

    @model_validator(mode="after")
    def _deliveries_consistent(self) -> Settings:
        try:
            parse_allow_list(self.outbound_allow)
        except ValueError as error:
            raise ValueError(f"KENNEL_OUTBOUND_ALLOW: {error}") from None
        url = self.smtp_url.get_secret_value()
        if url and not self.smtp_from:
            raise ValueError("KENNEL_SMTP_URL needs KENNEL_SMTP_FROM, the sender of mails")
        if self.smtp_from and not url:
            raise ValueError("KENNEL_SMTP_FROM has no effect without KENNEL_SMTP_URL")
        if url:
            parse_smtp_url(url)
        return self

    def _check_endpoint(self) -> None:
        if not self.embeddings_model:
            raise ValueError("KENNEL_EMBEDDINGS_URL needs KENNEL_EMBEDDINGS_MODEL, the model to ask for")
        if not self.embeddings_dimensions:
            raise ValueError(
                "KENNEL_EMBEDDINGS_URL needs KENNEL_EMBEDDINGS_DIMENSIONS, how many numbers a vector of "
                f"{self.embeddings_model} has"
            )
        name = self.embeddings_name or feature_name(self.embeddings_model)
        if name in ("", BUILT_IN_NAME):
            raise ValueError(
                f"the model {self.embeddings_model!r} cannot be named {name!r}: set KENNEL_EMBEDDINGS_NAME "
                f"to letters, digits and underscores other than {BUILT_IN_NAME}"
            )
        key = self.embeddings_api_key.get_secret_value()
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise ValueError("KENNEL_EMBEDDINGS_API_KEY holds characters that no HTTP header takes")


def _check_base_url(text: str) -> None:
    """Refuse what is no plain http(s) URL, without repeating it: it may hold credentials."""
    try:
        url = HttpUrl(text)
    except ValueError:
        raise ValueError("KENNEL_EMBEDDINGS_URL is no http:// or https:// URL") from None
    if url.username or url.password:
        raise ValueError("KENNEL_EMBEDDINGS_URL holds credentials: put them into KENNEL_EMBEDDINGS_API_KEY")
    if url.query or url.fragment:
        raise ValueError("KENNEL_EMBEDDINGS_URL is a base URL: leave out what begins with ? or #")
