"""Who is calling: API keys, looked up by the SHA-256 of their secret and remembered for a second."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from api.cache import TtlCache
from shared import keys
from shared.clock import utc_now_iso
from shared.errors import Forbidden, Unauthorized
from shared.models.api_key import LOCAL_USER, KeyRecord, Permission, key_hash
from shared.redis_link import RedisLink
from shared.stores.reads import reading

CACHE_TTL_S = 1.0  # a revoked key is refused within two seconds
_CACHE_MAX = 10_000
_RANK: dict[str, int] = {"read": 1, "write": 2, "delete": 3, "admin": 4}
_SECRET_MAX_CHARS = 512


@dataclass(frozen=True, slots=True)
class Principal:
    """A valid key and what it may do."""

    key_id: str
    name: str
    permissions: frozenset[str]
    namespaces: frozenset[str] | None  # ids it is limited to; None = all
    default_wait_s: float | None
    key_type: str
    expires_at: str | None
    user_id: str = LOCAL_USER

    def may_use(self, namespace_id: str) -> bool:
        return self.namespaces is None or namespace_id in self.namespaces


class Authenticator:
    def __init__(self, redis: RedisLink) -> None:
        self._redis = redis
        # Keyed by a digest, so that no secret stays in memory.
        self._cache: TtlCache[bytes, Principal] = TtlCache(max_entries=_CACHE_MAX, ttl_s=CACHE_TTL_S)

    def cached(self, authorization: bytes) -> Principal | None:
        """The principal if this header was valid within the last second, without a round trip."""
        return self._cache.get(hashlib.sha256(authorization).digest())

    async def authenticate(self, authorization: bytes | None) -> Principal:
        """The principal of an `Authorization` header; one round trip when it is not remembered.

        Raises:
            Unauthorized: no key, or one that is unknown, revoked or expired.
        """
        if not authorization:
            raise Unauthorized("no API key; send the header `Authorization: Bearer sk_…`")
        digest = hashlib.sha256(authorization).digest()
        principal = self._cache.get(digest)
        if principal is None:
            principal = await self._look_up(_secret(authorization))
            self._cache.put(digest, principal)
        return principal

    def forget_all(self) -> None:
        """Keys were changed here: this process asks again at once, others within `CACHE_TTL_S`."""
        self._cache.clear()

    async def _look_up(self, secret: str) -> Principal:
        with reading():
            raw = await self._redis.execute("GET", keys.api_key(key_hash(secret)))
        record = KeyRecord.model_validate_json(raw) if raw else None
        if record is None or not record.is_valid(utc_now_iso()):
            raise Unauthorized("this API key is not valid (unknown, revoked or expired); use another one")
        return _principal(record)


def require(principal: Principal, permission: Permission) -> None:
    """Let the principal pass if one of its permissions is at least this one.

    Raises:
        Forbidden: naming the missing permission.
    """
    if max((_RANK[each] for each in principal.permissions), default=0) < _RANK[permission]:
        raise Forbidden(
            f"the key {principal.name!r} lacks the permission {permission!r}; "
            f"it has {', '.join(sorted(principal.permissions)) or 'none'}"
        )


def _secret(authorization: bytes) -> str:
    scheme, _, secret = authorization.decode("latin-1").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret or len(secret) > _SECRET_MAX_CHARS:
        raise Unauthorized("the Authorization header must be `Bearer sk_…`")
    return secret


def _principal(record: KeyRecord) -> Principal:
    return Principal(
        key_id=record.key_id,
        name=record.name,
        permissions=frozenset(record.permissions),
        namespaces=None if record.namespaces is None else frozenset(record.namespaces),
        default_wait_s=record.default_wait_s,
        key_type=record.key_type,
        expires_at=record.expires_at,
        user_id=record.user_id,
    )
