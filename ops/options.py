"""Options of the command line over KENNEL_ variables over defaults."""

from __future__ import annotations

from typing import Any

import typer
from pydantic import ValidationError

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
            name = str(problem["loc"][0])
            source = f"--{name.replace('_', '-')}" if name in given else f"KENNEL_{name.upper()}"
            typer.echo(f"kennel: {source} is {str(problem['input'])!r}: {problem['msg']}", err=True)
        raise typer.Exit(EXIT_BAD_SETTING) from None
