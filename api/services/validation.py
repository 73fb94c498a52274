"""Pydantic's models outside of the framework's handlers, with the same errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api.errors import from_validation

M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], value: Any, *, at: Sequence[str | int] = ()) -> M:
    """The value as the model.

    Args:
        at: Where in the request the value stands; errors name places inside of it.

    Raises:
        InvalidInput: naming each failing place.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors = [{**each, "loc": (*at, *_without_tag(each["loc"]))} for each in error.errors()]
        raise from_validation(RequestValidationError(errors)) from error


def _without_tag(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """pydantic names the branch of a union as if it were a field: pagination.cursor.limit."""
    return (loc[0], *loc[2:]) if len(loc) > 1 and loc[0] == "pagination" else loc
