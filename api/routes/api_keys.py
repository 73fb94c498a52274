"""API keys of a user. Only a key with the permission admin may manage keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import AfterValidator

from api.deps import AdminDep, ContextDep, PathName
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.schemas.api_keys import ApiKey, ApiKeyCreate, ApiKeyList, ApiKeyUpdate, ApiKeyWithSecret
from api.schemas.common import Deleted
from shared.models.api_key import checked_user

router = APIRouter(
    prefix="/v1/organizations/users/{user_email}/api-keys", tags=["api keys"], route_class=JsonRoute
)

User = Annotated[
    str, Path(description="Email address of whom the keys belong to."), AfterValidator(checked_user)
]


@router.post(
    "", summary="Create an API key", responses=answers(ApiKeyWithSecret, 400, 403, 404, 409, 422, 504)
)
async def create(context: ContextDep, caller: AdminDep, user_email: User, body: ApiKeyCreate) -> Response:
    """The answer holds the secret, which is stored nowhere. A key cannot grant more than it has."""
    return json_response(await context.api_key_service.create(caller, user_email, body))


@router.get("", summary="List API keys", responses=answers(ApiKeyList, 403, 404, 422))
async def list_all(
    context: ContextDep,
    caller: AdminDep,
    user_email: User,
    include_revoked: Annotated[bool, Query(description="Add the revoked ones.")] = False,
    include_session_keys: Annotated[
        bool, Query(description="There are no session keys, so both values list the same.")
    ] = False,
) -> Response:
    """Without secrets; a key limited to namespaces lists those that are limited to the same ones or fewer."""
    found = await context.api_key_service.list_all(caller, user_email, include_revoked=include_revoked)
    return json_response(ApiKeyList(results=found, total=len(found)))


@router.patch(
    "/{key_name}", summary="Change an API key", responses=answers(ApiKey, 400, 403, 404, 409, 422, 504)
)
async def update(
    context: ContextDep, caller: AdminDep, user_email: User, key_name: PathName, body: ApiKeyUpdate
) -> Response:
    """Takes effect within 2 seconds. `admin-key` is protected, and a revoked or expired key stays so."""
    return json_response(await context.api_key_service.update(caller, user_email, key_name, body))


@router.post(
    "/{key_name}/rotate",
    summary="Give an API key a new secret",
    responses=answers(ApiKeyWithSecret, 403, 404, 409, 422, 504),
)
async def rotate(context: ContextDep, caller: AdminDep, user_email: User, key_name: PathName) -> Response:
    """The old secret is refused within 2 seconds, by the process that answers at once."""
    return json_response(await context.api_key_service.rotate(caller, user_email, key_name))


@router.delete(
    "/{key_name}", summary="Revoke an API key", responses=answers(Deleted, 403, 404, 409, 422, 504)
)
async def revoke(
    context: ContextDep,
    caller: AdminDep,
    user_email: User,
    key_name: PathName,
    force: Annotated[
        bool, Query(description="Nothing refers to keys, so there is nothing to force.")
    ] = False,
) -> Response:
    """The key is refused within 2 seconds; running executions go on. Revoking it again changes nothing."""
    await context.api_key_service.revoke(caller, user_email, key_name)
    return json_response(Deleted(message=f"the API key {key_name!r} is revoked"))
