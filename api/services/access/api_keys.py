"""API keys over HTTP. Callers hold a key with the permission admin; none can grant more than it has itself.

An installation has no accounts: the email address of a path is whom a key belongs to, no more.
"""

from __future__ import annotations

from typing import Any

from api.auth import Authenticator, Principal
from api.directory import NamespaceDirectory
from api.schemas.api_keys import ApiKey as ApiKeyAnswer
from api.schemas.api_keys import ApiKeyCreate, ApiKeyUpdate, ApiKeyWithSecret, ResourceScope
from api.services.access.identity import ORGANIZATION_ID
from shared import ids
from shared.clock import utc_now_iso
from shared.errors import Forbidden, InvalidInput, NotFound
from shared.models.api_key import (
    ApiKey,
    KeyRecord,
    checked_expiry,
    checked_permissions,
    edited,
    new_key,
    revoked,
    rotated,
)
from shared.redis_link import RedisLink
from shared.stores import key_steps
from shared.stores.api_keys import run_async


class ApiKeyService:
    def __init__(
        self, redis: RedisLink, namespaces: NamespaceDirectory, authenticator: Authenticator
    ) -> None:
        self._redis = redis
        self._namespaces = namespaces
        self._authenticator = authenticator

    async def create(self, caller: Principal, email: str, request: ApiKeyCreate) -> ApiKeyWithSecret:
        """The new key, with its secret.

        Raises:
            Conflict: an active key has this name.
            Forbidden: it could do more than the caller.
            InvalidInput: a namespace or expiry that is none.
        """
        secret, key = new_key(
            request.name,
            description=request.description or "",
            user_id=email,
            created_by=caller.user_id,
            permissions=request.permissions,
            namespaces=await self._namespace_ids(caller, request.scopes),
            default_wait_s=request.default_wait_s,
            expires_at=request.expires_at,
        )
        _check_grant(caller, key.record)
        await run_async(self._redis, key_steps.create(key))
        return ApiKeyWithSecret(**_described(key), key=secret, warnings=_warnings(request))

    async def list_all(self, caller: Principal, email: str, *, include_revoked: bool) -> list[ApiKeyAnswer]:
        """The user's keys that the caller may know of, ordered by name."""
        found = await run_async(self._redis, key_steps.all_keys())
        return [
            ApiKeyAnswer(**_described(key))
            for key in found
            if _is_visible(caller, email, key.record) and (include_revoked or key.record.status == "active")
        ]

    async def update(self, caller: Principal, email: str, name: str, request: ApiKeyUpdate) -> ApiKeyAnswer:
        """The key as it is now.

        Raises:
            NotFound: the user has no key of this name.
            Conflict: it is protected, revoked or expired, or its new name is taken.
            Forbidden: it could do more than the caller.
            InvalidInput: a namespace or expiry that is none.
        """
        changes = await self._changes(caller, request)

        def edit(key: ApiKey) -> ApiKey:
            _check_visible(caller, email, key.record)
            changed = edited(key, **changes)
            _check_grant(caller, changed.record)
            return revoked(changed, by=caller.user_id) if request.status == "revoked" else changed

        key = await self._changed(name, edit)
        return ApiKeyAnswer(**_described(key), warnings=_warnings(request))

    async def rotate(self, caller: Principal, email: str, name: str) -> ApiKeyWithSecret:
        """The key with its new secret. This process refuses the old one at once, others within 2 s.

        Raises: as `update`.
        """
        secret = ids.api_key()

        def edit(key: ApiKey) -> ApiKey:
            _check_visible(caller, email, key.record)
            _check_grant(caller, key.record)
            return rotated(key, secret)

        return ApiKeyWithSecret(**_described(await self._changed(name, edit)), key=secret)

    async def revoke(self, caller: Principal, email: str, name: str) -> None:
        """Refuse the key from now on, as after a rotation. A revoked one stays as it is.

        Raises:
            NotFound: the user has no key of this name.
            Conflict: it is protected.
        """

        def edit(key: ApiKey) -> ApiKey:
            _check_visible(caller, email, key.record)
            return revoked(key, by=caller.user_id)

        await self._changed(name, edit)

    async def _changed(self, name: str, edit: key_steps.Edit) -> ApiKey:
        try:
            return await run_async(self._redis, key_steps.change(name, edit))
        finally:
            self._authenticator.forget_all()

    async def _changes(self, caller: Principal, request: ApiKeyUpdate) -> dict[str, Any]:
        """Fields of the record with their new values."""
        changes: dict[str, Any] = request.model_dump(include={"name", "description"}, exclude_none=True)
        if request.permissions is not None:
            changes["permissions"] = checked_permissions(request.permissions)
        if request.scopes is not None:
            changes["namespaces"] = await self._namespace_ids(caller, request.scopes)
        if "expires_at" in request.model_fields_set:
            changes["expires_at"] = checked_expiry(request.expires_at)
        if "default_wait_s" in request.model_fields_set:
            changes["default_wait_s"] = request.default_wait_s
        return changes

    async def _namespace_ids(
        self, caller: Principal, scopes: list[ResourceScope] | None
    ) -> tuple[str, ...] | None:
        """Ids of the namespaces that the scopes name, each once; None = all.

        Raises:
            InvalidInput: at the first one that the caller cannot use.
        """
        found: dict[str, None] = {}
        for index, scope in enumerate(scopes or ()):
            try:
                found[await self._namespaces.resolve(caller, scope.resource_id)] = None
            except NotFound as error:
                raise InvalidInput.at(
                    ["scopes", index, "resource_id"], error.message, value=scope.resource_id
                ) from error
        return tuple(found) or None


def _described(key: ApiKey) -> dict[str, Any]:
    record = key.record
    namespaces = record.namespaces
    return {
        **record.model_dump(exclude={"namespaces"}),
        "key_hash": key.key_hash,
        "internal_id": ORGANIZATION_ID,
        "organization_id": ORGANIZATION_ID,
        "status": record.status_at(utc_now_iso()),
        "scopes": None if namespaces is None else [_scope(each) for each in namespaces],
    }


def _scope(namespace_id: str) -> dict[str, Any]:
    return {"resource_type": "namespace", "resource_id": namespace_id, "operations": None}


def _warnings(request: ApiKeyCreate | ApiKeyUpdate) -> list[str]:
    inner = [
        f"the key 'scopes[{index}].{key}' is unknown and was ignored"
        for index, scope in enumerate(request.scopes or ())
        for key in scope.unknown_keys()
    ]
    return request.warnings() + inner


def _is_visible(caller: Principal, email: str, record: KeyRecord) -> bool:
    """Whether it is this user's, and limited to namespaces that the caller may use."""
    return record.user_id == email and _is_within(caller, record)


def _is_within(caller: Principal, record: KeyRecord) -> bool:
    if caller.namespaces is None:
        return True
    return record.namespaces is not None and caller.namespaces.issuperset(record.namespaces)


def _check_visible(caller: Principal, email: str, record: KeyRecord) -> None:
    if not _is_visible(caller, email, record):
        raise key_steps.not_found(record.name)


def _check_grant(caller: Principal, record: KeyRecord) -> None:
    """Raises Forbidden when the key would reach further or last longer than the caller's own.

    Permissions need no look: only admin gets here, and none is above it.
    """
    if not _is_within(caller, record):
        raise Forbidden(f"the key {caller.name!r} is limited to its namespaces; name only these in scopes")
    last = caller.expires_at
    if last is not None and (record.expires_at is None or record.expires_at > last):
        raise Forbidden(f"the key {caller.name!r} expires at {last}; set expires_at to no later than that")
