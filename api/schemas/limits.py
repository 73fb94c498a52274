"""Limits of a namespace: how many of its executions may run and wait."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, StrictInt

from api.schemas.common import RequestModel

_MAX = 10_000_000


class LimitsBody(RequestModel):
    """Replaces both; null or left out: as for every namespace."""

    running: Annotated[
        StrictInt | None, Field(ge=1, le=_MAX, description="Executions that may run at a time.")
    ] = None
    waiting: Annotated[
        StrictInt | None,
        Field(ge=1, le=_MAX, description="Executions that may wait; more are refused (429)."),
    ] = None


class NamespaceLimits(BaseModel):
    """As they hold now. null: no limit."""

    namespace_id: str
    running: int | None
    waiting: int | None
    warnings: list[str] = []
