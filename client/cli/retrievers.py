"""`kennel retrievers`: list, show, create, delete."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from client.cli.output import show_resource, show_resources
from client.cli.session import RetrieverArgument, Session, YesOption, remote
from client.errors import NotConfigured

app = typer.Typer(help="List, show, create and delete retrievers.", no_args_is_help=True)


@remote(app, "list")
def list_(
    session: Session,
    *,
    search: Annotated[str | None, typer.Option(help="Part of an id, name or description.")] = None,
) -> None:
    """List the retrievers of the namespace, newest first."""
    show_resources(session, session.kennel.retrievers.list(search))


@remote(app, "show")
def show(session: Session, retriever: RetrieverArgument) -> None:
    """Show a retriever's definition as JSON."""
    show_resource(session, session.kennel.retrievers.get(retriever))


@remote(app, "create")
def create(
    session: Session,
    file: Annotated[Path, typer.Argument(help="JSON: retriever_name, stages, …; - = stdin.")],
) -> None:
    """Create a retriever from a file."""
    created = session.kennel.retrievers.create(_definition(file))
    if session.as_json:
        show_resource(session, created)
    else:
        session.out.print(f"{created.resource_id} {created.name} is created", markup=False, soft_wrap=True)


@remote(app, "delete")
def delete(session: Session, retriever: RetrieverArgument, *, yes: YesOption = False) -> None:
    """Delete a retriever: its pending executions are cancelled, running ones finish."""
    if not yes:
        typer.confirm(f"Delete the retriever {retriever} and its executions?", abort=True, err=True)
    session.kennel.retrievers.delete(retriever)
    session.err.print(f"{retriever} is deleted", markup=False, soft_wrap=True)


def _definition(file: Path) -> dict[str, Any]:
    """Raises NotConfigured: the file cannot be read, or does not hold a JSON object."""
    try:
        definition = orjson.loads(sys.stdin.buffer.read() if file == Path("-") else file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise NotConfigured(f"{file} cannot be used: {error}") from error
    if not isinstance(definition, dict):
        raise NotConfigured(f"{file} holds no JSON object")
    return definition
