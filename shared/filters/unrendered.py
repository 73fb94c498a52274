"""What in a filter tree is still to be filled in, before a request's filters are rendered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_dynamic(value: Any) -> bool:
    """{"type": "dynamic", "field": "inputs.user_id"}: a value to be taken from the inputs."""
    return isinstance(value, Mapping) and value.get("type") == "dynamic"


def is_unrendered(value: Any) -> bool:
    """A dynamic value, or a text that holds a template."""
    return is_dynamic(value) or (isinstance(value, str) and ("{{" in value or "{%" in value))
