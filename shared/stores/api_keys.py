"""API keys in Redis: stored under the SHA-256 of their secret, found by their name.

The functions are for the command line and the start, which are synchronous; the API runs the same steps
(shared/stores/key_steps.py) with `run_async`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import TypeVar

from redis import Redis

from shared import ids
from shared.models.api_key import (
    ALL_PERMISSIONS,
    BOOTSTRAP_NAME,
    LOCAL_USER,
    KeyRecord,
    Permission,
    new_key,
    revoked,
    rotated,
)
from shared.redis_link import RedisLink
from shared.redis_sync import fcall
from shared.stores import key_steps
from shared.stores.key_steps import Steps
from shared.stores.reads import reading

T = TypeVar("T")


def run(redis: Redis, steps: Steps[T]) -> T:
    """What the steps return. A round trip for each."""
    try:
        call = next(steps)
        while True:
            call = steps.send(fcall(redis, call.function, *call.arguments))
    except StopIteration as end:
        result: T = end.value
        return result


async def run_async(redis: RedisLink, steps: Steps[T]) -> T:
    """As `run`, for the API."""
    try:
        call = next(steps)
        while True:
            with nullcontext() if call.writes else reading():
                reply = await redis.fcall(call.function, *call.arguments)
            call = steps.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result


def create_key(
    redis: Redis,
    name: str,
    *,
    secret: str | None = None,
    user_id: str = LOCAL_USER,
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
        InvalidInput: a bad name, secret, permission, wait or expiry.
    """
    secret, key = new_key(
        name,
        secret=secret,
        user_id=user_id,
        permissions=permissions,
        default_wait_s=default_wait_s,
        namespaces=namespaces,
        expires_at=expires_at,
    )
    run(redis, key_steps.create(key))
    return secret, key.record


def ensure_key(
    redis: Redis, secret: str, name: str = BOOTSTRAP_NAME, *, default_wait_s: float | None = None
) -> KeyRecord | None:
    """Make `secret` the key called `name`, once; another key that had the name is dropped. Repeatable.

    Returns:
        Its record as it is now; None when the secret has been rotated, revoked or renamed away since, which
        a start must not undo. The bootstrap key is always made.

    Raises:
        InvalidInput: the secret is too short or not `sk_…`.
        Conflict: the bootstrap key has the secret of another key.
    """
    _, key = new_key(name, secret=secret, default_wait_s=default_wait_s)
    return run(redis, key_steps.ensure(key))


def list_keys(redis: Redis) -> list[KeyRecord]:
    """Every key that has a name, revoked ones included, ordered by name."""
    return [key.record for key in run(redis, key_steps.all_keys())]


def rotate_key(redis: Redis, name: str) -> tuple[str, KeyRecord]:
    """Give the key a new secret; the old one is refused from now on.

    Returns:
        (secret, record).

    Raises:
        NotFound: no key has this name.
        Conflict: it is the bootstrap key, revoked or expired.
    """
    secret = ids.api_key()
    key = run(redis, key_steps.change(name, lambda key: rotated(key, secret)))
    return secret, key.record


def revoke_key(redis: Redis, name: str) -> KeyRecord:
    """Refuse the key from now on. Revoking twice changes nothing.

    Raises:
        NotFound: no key has this name.
        Conflict: it is the bootstrap key, which a start would create again.
    """
    return run(redis, key_steps.change(name, lambda key: revoked(key, by=LOCAL_USER))).record
