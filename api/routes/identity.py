"""Who is calling."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.deps import ReaderDep
from api.openapi import answers, json_response
from api.schemas.identity import Me
from api.services.access.identity import describe

router = APIRouter(prefix="/v1/me", tags=["identity"])


@router.get("", summary="Describe the API key of this call", responses=answers(Me))
async def me(principal: ReaderDep) -> Response:
    """The key's name, permissions and expiry; never the key."""
    return json_response(describe(principal))
