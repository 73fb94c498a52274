"""What a key is told about itself."""

from __future__ import annotations

from api.auth import Principal
from api.schemas.identity import Me, MeKey

_ORGANIZATION = "kennel"


def describe(principal: Principal) -> Me:
    return Me(
        organization_id=f"org_{_ORGANIZATION}",
        organization_name=_ORGANIZATION,
        key=MeKey(
            name=principal.name,
            key_type=principal.key_type,
            permissions=sorted(principal.permissions),
            expires_at=principal.expires_at,
            default_wait_s=principal.default_wait_s,
        ),
        principal_scoped=principal.namespaces is not None,
    )
