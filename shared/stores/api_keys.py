"""API keys in Redis: stored under the SHA-256 of their secret, found by their name.

Synchronous, because keys are written by the command line and at start-up; the API reads records
itself with `keys.api_key(key_hash(secret))` and `KeyRecord`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from redis import Redis
from redis.client import Pipeline

from shared import ids, keys
from shared.clock import iso, utc_now_iso
from shared.errors import Conflict, InvalidInput, NotFound
from shared.redis_sync import text

Permission = Literal["read", "write", "delete", "admin"]
ALL_PERMISSIONS: tuple[Permission, ...] = ("admin", "delete", "write", "read")

BOOTSTRAP_NAME = "admin-key"
DEFAULT_WAIT_MAX_S = 25.0  # below the 30 s read timeout of clients that never poll
PREFIX_CHARS = 8

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_SECRET = re.compile(r"sk_[A-Za-z0-9_-]{16,200}")


class KeyRecord(BaseModel):
    """What is kept about a key. Never the secret."""

    model_config = ConfigDict(frozen=True)

    key_id: str
    name: str
    key_prefix: str = Field(description="First characters of the secret, to tell keys apart.")
    key_type: Literal["standard"] = "standard"
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
    expires_at: str | None = Field(default=None, description="ISO 8601 in UTC; null = never.")

    def is_valid(self, now_iso: str) -> bool:
        """Whether the key opens anything at `now_iso` (as `shared.clock.utc_now_iso` spells it)."""
        return self.status == "active" and (self.expires_at is None or now_iso < self.expires_at)


def key_hash(secret: str) -> str:
    """SHA-256 of a secret, in hex. Plain and fast on purpose: a secret has 160 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def check_secret(secret: str) -> None:
    """Refuse a secret that is short or of another form; the error does not repeat it.

    Raises:
        InvalidInput: it is not `sk_` and 16 to 200 letters, digits, `_` or `-`.
    """
    if not _SECRET.fullmatch(secret):
        raise InvalidInput.at(["secret"], "must be sk_ and 16 to 200 letters, digits, _ or - after it")


def create_key(
    redis: Redis,
    name: str,
    *,
    secret: str | None = None,
    permissions: Sequence[Permission] = ALL_PERMISSIONS,
    default_wait_s: float | None = None,
    namespaces: Sequence[str] | None = None,
    expires_at: datetime | None = None,
) -> tuple[str, KeyRecord]:
    """Store a new key; atomic. The name of a revoked key may be used again.

    Returns:
        (secret, record). The secret is not stored: this is the only time it is seen.

    Raises:
        Conflict: an active key has this name.
        InvalidInput: a bad name, secret or wait.
    """
    secret = secret or ids.api_key()
    _check(name, secret, permissions, default_wait_s)
    record = KeyRecord(
        key_id=_key_id(secret),
        name=name,
        key_prefix=secret[:PREFIX_CHARS],
        permissions=tuple(permissions),
        namespaces=None if namespaces is None else tuple(namespaces),
        default_wait_s=default_wait_s,
        created_at=utc_now_iso(),
        expires_at=None if expires_at is None else iso(int(expires_at.timestamp() * 1000)),
    )

    def insert(pipe: Pipeline) -> None:
        existing = _find(pipe, name)
        if existing and existing[1].status == "active":
            raise Conflict(f"An API key named {name!r} exists; choose another name or revoke it first.")
        _replace(pipe, existing[0] if existing else None, key_hash(secret), record)

    redis.transaction(insert, keys.API_KEYS)
    return secret, record


def ensure_key(
    redis: Redis, secret: str, name: str = BOOTSTRAP_NAME, *, default_wait_s: float | None = None
) -> KeyRecord:
    """Make `secret` the active key called `name`; a key that had the name before is dropped. Repeatable.

    Raises:
        InvalidInput: the secret is too short or not `sk_…`.
    """
    _check(name, secret, ALL_PERMISSIONS, default_wait_s)
    digest = key_hash(secret)
    record = KeyRecord(
        key_id=_key_id(secret),
        name=name,
        key_prefix=secret[:PREFIX_CHARS],
        default_wait_s=default_wait_s,
        created_at=utc_now_iso(),
    )
    kept = record

    def insert(pipe: Pipeline) -> None:
        nonlocal kept
        existing = _find(pipe, name)
        if existing and existing[0] == digest and existing[1].status == "active":
            kept = existing[1]
            return
        kept = record
        _replace(pipe, existing[0] if existing else None, digest, record)

    redis.transaction(insert, keys.API_KEYS)
    return kept


def list_keys(redis: Redis) -> list[KeyRecord]:
    """Every key that has a name, revoked ones included, ordered by name. Two round trips."""
    digests = [text(value) for value in redis.hvals(keys.API_KEYS)]
    stored = redis.mget([keys.api_key(digest) for digest in digests]) if digests else []
    records = [KeyRecord.model_validate_json(raw) for raw in stored if raw is not None]
    return sorted(records, key=lambda record: record.name)


def revoke_key(redis: Redis, name: str) -> KeyRecord:
    """Refuse the key from now on. Revoking twice changes nothing.

    Raises:
        NotFound: no key has this name.
        Conflict: it is the bootstrap key, which a start would create again.
    """
    if name == BOOTSTRAP_NAME:
        raise Conflict(
            f"{BOOTSTRAP_NAME!r} is protected: it is what Kennel itself uses, and a start would restore it. "
            "To replace it, stop Kennel, set another KENNEL_API_KEY (or delete the file api_key in the data "
            "directory) and start again."
        )
    revoked: KeyRecord | None = None

    def update(pipe: Pipeline) -> None:
        nonlocal revoked
        found = _find(pipe, name)
        if found is None:
            raise NotFound(f"No API key is named {name!r}; `kennel keys list` shows them all.")
        digest, record = found
        revoked = record.model_copy(update={"status": "revoked"})
        pipe.multi()
        pipe.set(keys.api_key(digest), revoked.model_dump_json())

    redis.transaction(update, keys.API_KEYS)
    assert revoked is not None
    return revoked


def _find(pipe: Pipeline, name: str) -> tuple[str, KeyRecord] | None:
    """(hash, record) of a named key, read while the index is watched."""
    digest = pipe.hget(keys.API_KEYS, name)
    raw = pipe.get(keys.api_key(text(digest))) if digest else None
    return (text(digest), KeyRecord.model_validate_json(raw)) if raw else None


def _replace(pipe: Pipeline, old_digest: str | None, digest: str, record: KeyRecord) -> None:
    """Queue the writes of a transaction: out with the name's old record, in with the new one."""
    pipe.multi()
    if old_digest:
        pipe.delete(keys.api_key(old_digest))
    pipe.hset(keys.API_KEYS, record.name, digest)
    pipe.set(keys.api_key(digest), record.model_dump_json())


def _check(name: str, secret: str, permissions: Sequence[str], default_wait_s: float | None) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInput.at(["name"], "must have 1 to 100 printable characters", value=name)
    check_secret(secret)
    if not permissions or set(permissions) - set(ALL_PERMISSIONS):
        raise InvalidInput.at(
            ["permissions"], f"must be some of {', '.join(ALL_PERMISSIONS)}", value=list(permissions)
        )
    if default_wait_s is not None and not 0 <= default_wait_s <= DEFAULT_WAIT_MAX_S:
        raise InvalidInput.at(
            ["default_wait_s"], f"must be 0 to {DEFAULT_WAIT_MAX_S:g} seconds", value=default_wait_s
        )


def _key_id(secret: str) -> str:
    return f"key_{key_hash(secret)[:16]}"
