"""Alerts: what a client sends and gets. What runs of them: api/schemas/alert_executions.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from api.schemas.common import Degraded, FieldPath, NotYet, Pagination, Printable, RequestModel
from shared.alerts.schedule import check_cron, check_timezone
from shared.models.alert import INTERVAL_MIN_S, SECONDS_MAX, SYSTEM_PARAMETERS
from shared.models.webhook import CHANNELS_MAX

# Conditions of the contract, a closed list, that have no metric here.
_UNMEASURED = (
    *("collection_empty", "batch_failed", "batch_stalled", "retriever_latency", "retriever_no_results"),
    *("collection_drift", "retriever_accuracy", "retriever_alignment_regression", "dlq_growth"),
    *("provider_quota_exhausted", "retriever_no_interactions", "collection_stale", "budget_threshold"),
    "ingest_stalled",
)


def _channel_type(value: Any) -> Any:
    if value == "batch":
        raise ValueError("'batch' is not supported: alerts tell, they write no documents; use webhook")
    return value


def _condition(value: str) -> str:
    known = ", ".join(SYSTEM_PARAMETERS)
    if value in SYSTEM_PARAMETERS:
        return value
    if value in _UNMEASURED:
        raise ValueError(f"{value!r} has no metric in this version; use {known}")
    raise ValueError(f"{value!r} is no system condition; use {known}")


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, dict | list):
        raise ValueError("must be a number, a text, true or false")
    return value


def _fixed_source(value: Any) -> Any:
    if value is not None:
        raise ValueError("cannot be changed; make another alert")
    return value


class AlertChannel(RequestModel):
    """Where it is told. `config` is as `configs` of a webhook's channel of that type."""

    channel_type: Annotated[Literal["webhook", "slack", "email"], BeforeValidator(_channel_type)]
    channel_id: NotYet = None
    config: Annotated[
        dict[str, Any],
        Field(
            description="webhook: {url, headers, signing_secret, …}; slack: {webhook_url, channel, …}; "
            "email: {to_addresses, …}. A secret reads `redacted`; sent back, or left out, it stays."
        ),
    ]


class NotificationConfig(RequestModel):
    channels: Annotated[list[AlertChannel], Field(min_length=1, max_length=CHANNELS_MAX)]
    include_matches: Annotated[StrictBool, Field(description="Tell which documents matched.")] = True
    include_scores: Annotated[StrictBool, Field(description="Tell their scores.")] = True
    template_id: NotYet = None


class Threshold(RequestModel):
    field: FieldPath
    operator: Literal["gt", "gte", "lt", "lte", "eq", "ne"]
    value: Annotated[Any, AfterValidator(_scalar)]

    @model_validator(mode="after")
    def _orders(self) -> Self:
        if isinstance(self.value, bool) and self.operator not in ("eq", "ne"):
            raise ValueError(f"{self.operator} compares numbers and texts; use eq or ne with {self.value}")
        return self


class Schedule(RequestModel):
    """When it runs by itself: at an interval from its creation on, or as a cron expression says."""

    interval_seconds: Annotated[StrictInt | None, Field(ge=INTERVAL_MIN_S, le=SECONDS_MAX)] = None
    cron: Annotated[
        StrictStr | None,
        Field(max_length=100, description="Minute, hour, day of month, month, day of week."),
        AfterValidator(lambda value: value if value is None else check_cron(value)),
    ] = None
    timezone: Annotated[
        StrictStr, Field(max_length=100, description="Of `cron`."), AfterValidator(check_timezone)
    ] = "UTC"

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.interval_seconds is None) == (self.cron is None):
            raise ValueError("must have one of interval_seconds and cron")
        return self


class SystemCondition(RequestModel):
    type: Annotated[str, AfterValidator(_condition), Field(description=f"{', '.join(SYSTEM_PARAMETERS)}.")]
    params: Annotated[dict[str, Any] | None, Field(description="In place of the defaults.")] = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        known = SYSTEM_PARAMETERS[self.type]
        for name, value in (self.params or {}).items():
            if name not in known:
                raise ValueError(f"params.{name} is not one of {self.type}; it has {', '.join(known)}")
            _, least, greatest = known[name]
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (is_number and least <= value <= greatest):
                raise ValueError(f"params.{name} must be a number from {least:,} to {greatest:,}")
        return self


Name = Annotated[str, Field(min_length=1, max_length=200, description="Unique in its namespace."), Printable]
Description = Annotated[str | None, Field(max_length=1_000)]
Inputs = Annotated[
    dict[str, Any] | None,
    Field(description="Of the retriever. What an attachment maps from a document overrides them."),
]
Cooldown = Annotated[
    StrictInt, Field(ge=0, le=SECONDS_MAX, description="After it fired it does not fire again for so long.")
]
Renotify = Annotated[
    StrictInt | None,
    Field(
        ge=60,
        le=SECONDS_MAX,
        description="Fire again while the condition stays true; without it, once when it becomes true.",
    ),
]
MinCount = Annotated[StrictInt | None, Field(ge=1, description="Fewest rows with which it fires (1).")]
TriggerOn = Annotated[
    Literal["results", "no_results"],
    Field(description="Fire when the retriever finds something, or nothing."),
]


class _AlertRequest(RequestModel):
    """What creation and change share, and what neither takes."""

    notification_config: NotificationConfig | None = None
    threshold: Annotated[Threshold | None, Field(description="Of the first row; only with results.")] = None
    schedule: Schedule | None = None
    system_condition: SystemCondition | None = None
    namespace_selector: NotYet = None

    def all_warnings(self) -> list[str]:
        """Of unknown keys, those inside of its parts included."""
        told = self.notification_config
        parts: list[tuple[str, RequestModel | None]] = [
            ("notification_config.", told),
            *(
                (f"notification_config.channels[{n}].", each)
                for n, each in enumerate(told.channels if told else ())
            ),
            ("threshold.", self.threshold),
            ("schedule.", self.schedule),
            ("system_condition.", self.system_condition),
        ]
        inner = [
            f"the key '{where}{key}' is unknown and was ignored"
            for where, part in parts
            if part is not None
            for key in part.unknown_keys()
        ]
        return self.warnings() + inner


class AlertCreate(_AlertRequest):
    name: Name
    notification_config: NotificationConfig
    description: Description = None
    source: Annotated[
        Literal["retriever", "system"], Field(description="system: watches Kennel, by system_condition.")
    ] = "retriever"
    retriever_id: Annotated[str | None, Field(description="Id or name of the retriever that it runs.")] = None
    trigger_on: TriggerOn = "results"
    min_count: MinCount = None
    inputs: Inputs = None
    cooldown_seconds: Cooldown = 0
    renotify_interval_seconds: Renotify = None
    enabled: StrictBool = True
    metadata: dict[str, Any] | None = None


class AlertChange(_AlertRequest):
    """What is left out stays, and so does what is null but could not be without a value.

    Null takes away `description`, `min_count`, `threshold`, `inputs`, `renotify_interval_seconds`,
    `schedule` and `metadata`. Objects are replaced whole.
    """

    name: Name | None = None
    description: Description = None
    source: Annotated[Any, AfterValidator(_fixed_source), Field(description="Cannot be changed.")] = None
    retriever_id: str | None = None
    trigger_on: TriggerOn | None = None
    min_count: MinCount = None
    inputs: Inputs = None
    cooldown_seconds: Cooldown | None = None
    renotify_interval_seconds: Renotify = None
    enabled: Annotated[StrictBool | None, Field(description="false: it runs no more, on no path.")] = None
    metadata: dict[str, Any] | None = None


class ShownAlertChannel(BaseModel):
    channel_type: Literal["webhook", "slack", "email"]
    channel_id: None = None
    config: Annotated[dict[str, Any], Field(description="As it was sent; a secret reads `redacted`.")]


class ShownNotificationConfig(BaseModel):
    channels: list[ShownAlertChannel]
    include_matches: bool
    include_scores: bool
    template_id: None = None


class ShownThreshold(BaseModel):
    field: str
    operator: str
    value: Any


class ShownSchedule(BaseModel):
    interval_seconds: int | None
    cron: str | None
    timezone: str


class ShownCondition(BaseModel):
    type: str
    params: dict[str, Any]


class Alert(BaseModel):
    alert_id: str
    namespace_id: str
    name: str
    description: str | None
    source: Literal["retriever", "system"]
    retriever_id: str | None
    trigger_on: Literal["results", "no_results"]
    min_count: int
    threshold: ShownThreshold | None
    inputs: dict[str, Any]
    schedule: ShownSchedule | None
    cooldown_seconds: int
    renotify_interval_seconds: int | None
    last_fired_at: str | None
    system_condition: ShownCondition | None
    namespace_selector: None = None
    notification_config: ShownNotificationConfig
    enabled: bool
    attached_to: Annotated[
        list[str] | None, Field(description="Ids of the collections it is attached to; null in lists.")
    ]
    metadata: dict[str, Any] | None
    created_at: str
    updated_at: str
    warnings: list[str] = []


class AlertList(BaseModel):
    results: list[Alert]
    pagination: Pagination
    total_count: int
    stats: None = None
    warnings: list[Degraded] = []
