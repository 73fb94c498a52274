"""What a key is told about itself."""

from __future__ import annotations

from api.auth import Principal
from api.schemas.identity import Me, MeKey

_ORGANIZATION = "kennel"
ORGANIZATION_ID = f"org_{_ORGANIZATION}"


def describe(principal: Principal) -> Me:
    return Me(
        organization_id=ORGANIZATION_ID,
        organization_name=_ORGANIZATION,
        user_email=principal.user_id,
        key=MeKey(
            name=principal.name,
            key_type=principal.key_type,
            permissions=sorted(principal.permissions),
            expires_at=principal.expires_at,
            default_wait_s=principal.default_wait_s,
            namespaces=None if principal.namespaces is None else sorted(principal.namespaces),
        ),
    )
