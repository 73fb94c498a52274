"""API keys: what is kept of one, and how one may change. Pure; shared/stores/api_keys.py stores them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared import ids
from shared.clock import iso, utc_now_iso
from shared.errors import Conflict, InvalidInput

Permission = Literal["read", "write", "delete", "admin"]
ALL_PERMISSIONS: tuple[Permission, ...] = ("admin", "delete", "write", "read")
KeyStatus = Literal["active", "revoked", "expired"]

BOOTSTRAP_NAME = "admin-key"
LOCAL_USER = "admin@localhost"  # owns what the server's own machine makes
DEFAULT_WAIT_MAX_S = 25.0  # below the 30 s read timeout of clients that never poll
PREFIX_CHARS = 8

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_EMAIL_MAX_CHARS = 254  # RFC 5321, 4.5.3.1.3: a path of 256 with its brackets
_SECRET = re.compile(r"sk_[A-Za-z0-9_-]{16,200}")
_EXPIRY_YEARS = range(2000, 9999)  # far enough from the first and last that a time zone cannot leave them


class KeyRecord(BaseModel):
    """What is kept about a key. Never the secret."""

    model_config = ConfigDict(frozen=True)

    key_id: str = Field(description="Derived from the first secret; a rotation keeps it.")
    name: str
    description: str = ""
    key_prefix: str = Field(description="First characters of the secret, to tell keys apart.")
    key_type: Literal["standard"] = "standard"
    user_id: str = Field(default=LOCAL_USER, description="Email address of whom it belongs to.")
    permissions: tuple[Permission, ...] = ALL_PERMISSIONS
    namespaces: tuple[str, ...] | None = Field(
        default=None, description="Ids of the namespaces it may use; null = all."
    )
    default_wait_s: float | None = Field(
        default=None,
        ge=0,
        le=DEFAULT_WAIT_MAX_S,
        description="How long execute waits without being asked (s).",
    )
    status: Literal["active", "revoked"] = "active"
    created_at: str
    created_by: str | None = Field(default=None, description="Owner of the key that made it; null = Kennel.")
    expires_at: str | None = Field(default=None, description="ISO 8601 in UTC; null = never.")
    revoked_at: str | None = None
    revoked_by: str | None = None

    def status_at(self, now_iso: str) -> KeyStatus:
        """active -> expired by itself, active or expired -> revoked for ever.

        `now_iso` is as `shared.clock.utc_now_iso` spells it.
        """
        if self.status == "active" and self.expires_at is not None and self.expires_at <= now_iso:
            return "expired"
        return self.status

    def is_valid(self, now_iso: str) -> bool:
        """Whether the key opens anything at `now_iso`."""
        return self.status_at(now_iso) == "active"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored: its record, under the hash of its secret."""

    key_hash: str
    record: KeyRecord


def key_hash(secret: str) -> str:
    """SHA-256 of a secret, in hex. Plain and fast on purpose: a secret has 160 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def key_id(secret: str) -> str:
    """The id of the key whose first secret this is."""
    return f"key_{key_hash(secret)[:16]}"


def check_secret(secret: str) -> None:
    """Refuse a secret that is short or of another form; the error does not repeat it.

    Raises:
        InvalidInput: it is not `sk_` and 16 to 200 letters, digits, `_` or `-`.
    """
    if not _SECRET.fullmatch(secret):
        raise InvalidInput.at(["secret"], "must be sk_ and 16 to 200 letters, digits, _ or - after it")


def new_key(
    name: str,
    *,
    secret: str | None = None,
    description: str = "",
    user_id: str = LOCAL_USER,
    created_by: str | None = None,
    permissions: Sequence[Permission] = ALL_PERMISSIONS,
    namespaces: Sequence[str] | None = None,
    default_wait_s: float | None = None,
    expires_at: datetime | None = None,
) -> tuple[str, ApiKey]:
    """(secret, key) of a key that is not stored yet; the secret is made here when none is given.

    Raises:
        InvalidInput: a bad name, secret, permission, wait or expiry.
    """
    secret = secret or ids.api_key()
    check_secret(secret)
    record = KeyRecord(
        key_id=key_id(secret),
        name=checked_name(name),
        description=description,
        key_prefix=secret[:PREFIX_CHARS],
        user_id=checked_user(user_id),
        permissions=checked_permissions(permissions),
        namespaces=None if namespaces is None else tuple(namespaces),
        default_wait_s=checked_wait_s(default_wait_s),
        created_at=utc_now_iso(),
        created_by=created_by,
        expires_at=checked_expiry(expires_at),
    )
    return secret, ApiKey(key_hash(secret), record)


def edited(key: ApiKey, **changes: Any) -> ApiKey:
    """The key with other fields in its record, which the `checked_…` functions have seen.

    Raises:
        Conflict: it is revoked or expired.
    """
    _check_is_active(key.record)
    return replace(key, record=key.record.model_copy(update=changes))


def rotated(key: ApiKey, secret: str) -> ApiKey:
    """The key under another secret; id, permissions and expiry stay.

    Raises:
        Conflict: it is revoked or expired.
    """
    _check_is_active(key.record)
    return ApiKey(key_hash(secret), key.record.model_copy(update={"key_prefix": secret[:PREFIX_CHARS]}))


def revoked(key: ApiKey, *, by: str | None = None) -> ApiKey:
    """The key refused from now on; a revoked one stays as it is."""
    if key.record.status == "revoked":
        return key
    changes = {"status": "revoked", "revoked_at": utc_now_iso(), "revoked_by": by}
    return replace(key, record=key.record.model_copy(update=changes))


def checked_name(name: str) -> str:
    """Raises InvalidInput."""
    if not _NAME.fullmatch(name):
        raise InvalidInput.at(["name"], "must have 1 to 100 printable characters", value=name)
    return name


def checked_user(email: str) -> str:
    """In lower case: one person is not two by spelling. Raises InvalidInput."""
    if len(email) > _EMAIL_MAX_CHARS or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise InvalidInput.at(
            ["user_email"], f"must be an email address of at most {_EMAIL_MAX_CHARS} characters", value=email
        )
    return email.lower()


def checked_permissions(permissions: Sequence[Permission]) -> tuple[Permission, ...]:
    """Each once. Raises InvalidInput."""
    if not permissions or set(permissions) - set(ALL_PERMISSIONS):
        raise InvalidInput.at(
            ["permissions"], f"must be some of {', '.join(ALL_PERMISSIONS)}", value=list(permissions)
        )
    return tuple(dict.fromkeys(permissions))


def checked_wait_s(default_wait_s: float | None) -> float | None:
    """Raises InvalidInput."""
    if default_wait_s is not None and not 0 <= default_wait_s <= DEFAULT_WAIT_MAX_S:
        raise InvalidInput.at(
            ["default_wait_s"], f"must be 0 to {DEFAULT_WAIT_MAX_S:g} seconds", value=default_wait_s
        )
    return default_wait_s


def checked_expiry(expires_at: datetime | None) -> str | None:
    """As records hold it. Raises InvalidInput."""
    if expires_at is None:
        return None
    at = iso(int(expires_at.timestamp() * 1000)) if expires_at.year in _EXPIRY_YEARS else ""
    if at <= utc_now_iso():
        raise InvalidInput.at(
            ["expires_at"],
            f"must lie in the future, before the year {_EXPIRY_YEARS.stop}",
            value=expires_at.isoformat(),
        )
    return at


def _check_is_active(record: KeyRecord) -> None:
    status = record.status_at(utc_now_iso())
    if status != "active":
        raise Conflict(
            f"the API key {record.name!r} is {status} and cannot be changed any more; make a new one",
            code="key_not_active",
        )
