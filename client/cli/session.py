"""What every command has: options for URL, key and namespace, `--json`, and errors of one line."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console

from client.errors import KennelError, NotFound, Unauthorized
from client.kennel import Kennel
from client.target import DEFAULT_URL, Timeouts

EXIT_FAILED = 1
EXIT_COULD_NOT_RUN = 2
EXIT_INTERRUPTED = 130
# Somebody is watching: say soon that the server is away.
RETRY_S = 5.0
_PIPE_WIDTH = 200
_PANEL = "Connection"

Url = Annotated[
    str | None,
    typer.Option(envvar="KENNEL_URL", help=f"Default: {DEFAULT_URL}.", rich_help_panel=_PANEL),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        envvar="KENNEL_API_KEY",
        help="On this machine the key of a local `kennel up` is found in .kennel.",
        rich_help_panel=_PANEL,
    ),
]
Namespace = Annotated[
    str | None, typer.Option(envvar="KENNEL_NAMESPACE", help="Id or name.", rich_help_panel=_PANEL)
]
AsJson = Annotated[
    bool, typer.Option("--json", help="JSON, one object a line, for programs.", rich_help_panel=_PANEL)
]
_OPTIONS: Mapping[str, Any] = {"url": Url, "api_key": ApiKey, "namespace": Namespace, "as_json": AsJson}

# Shared by several groups.
RetrieverArgument = Annotated[str, typer.Argument(metavar="RETRIEVER", help="Id or name.")]
ExecutionArgument = Annotated[str, typer.Argument(metavar="EXECUTION_ID")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0, help="Longest time to wait (s).")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

Command = Callable[..., int | None]


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a command."""

    kennel: Kennel
    as_json: bool
    out: Console  # stdout
    err: Console  # stderr

    @property
    def is_live(self) -> bool:
        """Somebody watches the output: it may be redrawn."""
        return self.out.is_terminal and not self.as_json


def remote(app: typer.Typer, name: str, *, retry_s: float = RETRY_S) -> Callable[[Command], Command]:
    """Make a function a command; its first parameter is the session, its result the exit code (None = 0).

    The options of the connection are added to its own. What goes wrong ends it with one line on stderr and
    exit code 2; Ctrl-C with 130.

    Args:
        retry_s: For how long a request is repeated while the server is away.
    """

    def decorate(function: Command) -> Command:
        @functools.wraps(function)
        def command(**arguments: Any) -> None:
            connection = {option: arguments.pop(option) for option in _OPTIONS}
            raise typer.Exit(_run(function, arguments, retry_s, **connection))

        parameters = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        parameters += [
            inspect.Parameter(
                option,
                inspect.Parameter.KEYWORD_ONLY,
                default=False if option == "as_json" else None,
                annotation=annotation,
            )
            for option, annotation in _OPTIONS.items()
        ]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        app.command(name)(command)
        return function

    return decorate


def _run(
    function: Command,
    arguments: Mapping[str, Any],
    retry_s: float,
    *,
    url: str | None,
    api_key: str | None,
    namespace: str | None,
    as_json: bool,
) -> int:
    timeouts = Timeouts(retry_s=retry_s)
    try:
        with Kennel(url, api_key=api_key, namespace=namespace, timeouts=timeouts) as kennel:
            out = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
            return function(Session(kennel, as_json, out, Console(stderr=True)), **arguments) or 0
    except KennelError as error:
        return fail(_sentence(error))
    except KeyboardInterrupt:
        fail("interrupted; what was submitted goes on")
        return EXIT_INTERRUPTED


def fail(message: str) -> int:
    """Say in one line what went wrong; the exit code for it."""
    typer.echo(f"kennel: {' '.join(message.split())}", err=True)
    return EXIT_COULD_NOT_RUN


def _sentence(error: KennelError) -> str:
    match error:
        case Unauthorized():
            return f"{error}; name a key with --api-key or KENNEL_API_KEY (`kennel keys create` makes one)"
        case NotFound(code="namespace_not_found"):
            return f"{error}; name another with --namespace or KENNEL_NAMESPACE"
        case _:
            return str(error)
