"""Who is calling."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class MeKey(BaseModel):
    name: str
    key_type: str
    permissions: list[str]
    expires_at: str | None
    default_wait_s: float | None
    namespaces: Annotated[
        list[str] | None, Field(description="Ids of the namespaces it is limited to; null = all.")
    ]


class Me(BaseModel):
    """An installation is one organisation, so only the key differs from caller to caller."""

    organization_id: str
    organization_name: str
    account_type: Literal["self_hosted"] = "self_hosted"
    user_email: str
    key: MeKey
    rate_limits: dict[str, int] = {}
    principal_scoped: Annotated[
        Literal[False], Field(description="Keys for the end users of a client are not supported.")
    ] = False
