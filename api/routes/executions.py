"""Executions: the list is served here; execute and get are described here and served by the front door."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

router = APIRouter(tags=["executions"])
