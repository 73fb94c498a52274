"""Looks at a Redis server before anything depends on it. Bounded, and in words a person can act on."""

from __future__ import annotations

from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from ops.errors import CannotStart
from shared.logs import mask

TIMEOUT_S = 2.0


def connect(url: str) -> Redis:
    """A client that answers or fails within TIMEOUT_S, without retries.

    Raises:
        CannotStart: the URL is not one of a Redis server.
    """
    if not url.startswith(("redis://", "rediss://")):
        raise CannotStart(
            f"KENNEL_REDIS_URL is {mask(url)!r}; it must look like redis://host:6379/0 or rediss://…"
        )
    try:
        return Redis.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
    except ValueError as error:
        raise CannotStart(f"KENNEL_REDIS_URL is {mask(url)!r}: {error}") from error


def answers(url: str) -> bool:
    """Whether the server takes commands (not while it still loads its file)."""
    try:
        with connect(url) as redis:
            return bool(redis.ping())
    except RedisError:
        return False


def check_external(url: str) -> list[str]:
    """Check that an existing server can hold queue and records.

    Returns:
        Warnings, one line each.

    Raises:
        CannotStart: it cannot be reached, evicts keys, is a cluster, or has no functions.
    """
    with connect(url) as redis:
        _check_reachable(redis, url)
        _check_functions(redis, url)
        facts = _info(redis)
    shown = mask(url)
    if facts.get("cluster_enabled") == 1:
        raise CannotStart(
            f"Redis at {shown} is a cluster, which Celery cannot use as a queue; use a single primary."
        )
    policy = facts.get("maxmemory_policy")
    if policy not in (None, "noeviction"):
        raise CannotStart(
            f"Redis at {shown} evicts keys when memory is full (maxmemory-policy {policy}), and would lose "
            "executions; run CONFIG SET maxmemory-policy noeviction (and set it in its configuration file)."
        )
    return _warnings(facts, shown)


def _warnings(facts: dict[str, Any], shown: str) -> list[str]:
    warnings = []
    if "maxmemory_policy" not in facts:
        warnings.append(
            f"WARNING: Redis at {shown} does not tell its settings; make sure that "
            "maxmemory-policy is noeviction and appendonly is yes."
        )
    elif not facts.get("aof_enabled"):
        warnings.append(
            f"WARNING: Redis at {shown} has appendonly off: a restart of it loses accepted executions. "
            "Run CONFIG SET appendonly yes (and set it in its configuration file)."
        )
    return warnings


def _check_reachable(redis: Redis, url: str) -> None:
    try:
        redis.ping()
    except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
        raise CannotStart(
            f"Redis at {mask(url)} refused the user or password ({error}); correct KENNEL_REDIS_URL "
            "(redis://user:password@host:6379/0)."
        ) from error
    except RedisError as error:
        raise CannotStart(
            f"Redis at {mask(url)} cannot be reached ({_first_line(error)}); start it, "
            "correct KENNEL_REDIS_URL, or unset it to use the embedded server."
        ) from error


def _check_functions(redis: Redis, url: str) -> None:
    """By asking, not by version: Valkey reports the version of the Redis it left."""
    try:
        redis.function_list(library="kennel")
    except NoPermissionError:
        return  # FUNCTION LIST may be forbidden where FCALL is not
    except ResponseError as error:
        raise CannotStart(
            f"Redis at {mask(url)} is too old: it has no functions ({_first_line(error)}). "
            "Kennel needs Redis 7 or Valkey 7.2, or newer."
        ) from error


def _info(redis: Redis) -> dict[str, Any]:
    """What INFO tells about memory, persistence and cluster; empty when it is forbidden."""
    facts: dict[str, Any] = {}
    try:
        for section in ("memory", "persistence", "cluster"):
            facts |= redis.info(section)
    except ResponseError:
        return {}
    return facts


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
