"""Options of the command line over KENNEL_ variables over defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.settings import Settings

EXIT_BAD_SETTING = 2


def load_settings(**options: Any) -> Settings:
    """The settings; an option that is None was not given.

    A bad value ends the command with one line that names the option or variable, exit code 2.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        for problem in error.errors():
            typer.echo(f"kennel: {_sentence(problem, given)}", err=True)
        raise typer.Exit(EXIT_BAD_SETTING) from None


def _sentence(problem: ErrorDetails, given: Mapping[str, Any]) -> str:
    if not problem["loc"]:  # settings that do not go together: the message names them
        return problem["msg"].removeprefix("Value error, ")
    name = str(problem["loc"][0])
    source = f"--{name.replace('_', '-')}" if name in given else f"KENNEL_{name.upper()}"
    return f"{source} is {str(problem['input'])!r}: {problem['msg']}"
