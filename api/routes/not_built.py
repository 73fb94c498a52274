"""Operations of the contract that this version does not have: 501, and absent from OpenAPI.

They come before all other routes, so that their fixed words are never taken for ids.
"""

from __future__ import annotations

from fastapi import APIRouter, Request

from api.errors import METHODS, NotBuilt

OPERATIONS = """
PATCH  /collections/{id}/documents/{document_id}/acl
GET    /retrievers/typeahead
ANY    /retrievers/benchmarks
ANY    /retrievers/benchmarks/{rest:path}
ANY    /retrievers/interactions
ANY    /retrievers/interactions/{rest:path}
ANY    /retrievers/evaluations/{rest:path}
ANY    /retrievers/{id}/evaluations
ANY    /retrievers/{id}/evaluations/{rest:path}
ANY    /retrievers/{id}/learned-fusion/{rest:path}
GET    /analytics/retrievers/{rest:path}
POST   /analytics/retrievers/{rest:path}
GET    /discovery/schema
ANY    /evaluations
ANY    /evaluations/score
ANY    /organizations
ANY    /organizations/alerts
ANY    /organizations/alerts/{rest:path}
ANY    /organizations/secrets
ANY    /organizations/secrets/{rest:path}
ANY    /organizations/users
ANY    /organizations/users/{user_email}
"""

router = APIRouter(prefix="/v1", include_in_schema=False)


async def not_built(request: Request) -> None:
    """Raises NotBuilt, always."""
    raise NotBuilt(f"{request.method} {request.url.path} is not built yet; /docs lists what is")


for _line in OPERATIONS.split("\n"):
    if _line:
        _method, _path = _line.split()
        router.add_api_route(_path, not_built, methods=list(METHODS) if _method == "ANY" else [_method])
