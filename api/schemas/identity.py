"""Who is calling."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class MeKey(BaseModel):
    name: str
    key_type: str
    permissions: list[str]
    expires_at: str | None
    default_wait_s: float | None


class Me(BaseModel):
    """An installation is one organisation, so only the key differs from caller to caller."""

    organization_id: str
    organization_name: str
    account_type: Literal["self_hosted"] = "self_hosted"
    user_email: None = None
    key: MeKey
    rate_limits: dict[str, int] = {}
    principal_scoped: bool
