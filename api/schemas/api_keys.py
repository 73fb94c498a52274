"""API keys: what a client sends and gets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from api.schemas.common import NotYet, Printable, RequestModel
from shared.models.api_key import DEFAULT_WAIT_MAX_S, KeyStatus, Permission

_SCOPES_MAX = 1_000
_USUAL_PERMISSIONS: tuple[Permission, ...] = ("delete", "write", "read")


def _text(value: Any) -> Any:
    if value is not None and not isinstance(value, str):
        raise ValueError("must be a time in ISO 8601, as text")
    return value


def _utc(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class ResourceScope(RequestModel):
    """A namespace that the key may use. Keys are not limited by other resources, nor by operations."""

    resource_type: Literal["namespace"]
    resource_id: Annotated[
        str, Field(min_length=1, max_length=128, description="Id or name of the namespace; no pattern.")
    ]
    operations: NotYet = None


Name = Annotated[
    str, Field(min_length=1, max_length=100, description="Unique in the installation."), Printable
]
Description = Annotated[str | None, Field(max_length=500)]
Permissions = Annotated[
    list[Permission],
    Field(min_length=1, max_length=4, description="admin includes delete, delete write, write read."),
]
Scopes = Annotated[
    list[ResourceScope] | None, Field(max_length=_SCOPES_MAX, description="Empty: all namespaces.")
]
Expiry = Annotated[
    datetime | None,
    BeforeValidator(_text),
    AfterValidator(_utc),
    Field(description="ISO 8601; in UTC where it names no time zone. Null: never."),
]
DefaultWait = Annotated[
    float | None,
    Field(ge=0, le=DEFAULT_WAIT_MAX_S, description="How long execute waits without being asked (s)."),
]


class _KeyLimits(RequestModel):
    """Limits of the contract that this version cannot keep."""

    rate_limit_override: NotYet = None
    allowed_origins: NotYet = None


class ApiKeyCreate(_KeyLimits):
    name: Name
    description: Description = None
    permissions: Permissions = Field(default_factory=lambda: list(_USUAL_PERMISSIONS))
    scopes: Scopes = None
    expires_at: Expiry = None
    default_wait_s: DefaultWait = None
    principal_id: NotYet = None


class ApiKeyUpdate(_KeyLimits):
    """What is left out stays; so does what is null, except for `expires_at` and `default_wait_s`."""

    name: Name | None = None
    description: Description = None
    permissions: Permissions | None = None
    scopes: Scopes = None
    expires_at: Expiry = None
    default_wait_s: DefaultWait = None
    status: Annotated[
        Literal["active", "revoked"] | None, Field(description="A revoked key stays revoked.")
    ] = None


class ApiKey(BaseModel):
    """A key, without its secret. An installation is one organisation."""

    key_id: str
    key_hash: str
    key_prefix: str
    key_type: Literal["standard"]
    internal_id: str
    organization_id: str
    user_id: str
    name: str
    description: str
    permissions: list[Permission]
    scopes: list[dict[str, Any]] | None
    default_wait_s: float | None
    status: KeyStatus
    created_at: str
    created_by: str | None
    expires_at: str | None
    revoked_at: str | None
    revoked_by: str | None
    rate_limit_override: None = None
    principal_id: None = None
    allowed_origins: None = None
    warnings: list[str] = []


class ApiKeyWithSecret(ApiKey):
    """The only answer that ever shows this secret."""

    key: str


class ApiKeyList(BaseModel):
    """Ordered by name."""

    results: list[ApiKey]
    total: int
