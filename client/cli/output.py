"""How answers look: tables for people, one JSON object a line for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import typer
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from client.cli.session import Session
from client.models import Execution, Resource
from shared.models.execution import Status

_STATUS_STYLES: Mapping[Status, str] = {
    Status.PENDING: "yellow",
    Status.PROCESSING: "cyan",
    Status.COMPLETED: "green",
    Status.DEGRADED: "magenta",
    Status.FAILED: "bold red",
    Status.CANCELLED: "red",
}
_NO_FIELDS_OF_USERS = frozenset(("document_id", "collection_id", "score", "_internal"))


def print_json(value: Any) -> None:
    typer.echo(orjson.dumps(value).decode())


def styled(status: Status) -> Text:
    return Text(status, style=_STATUS_STYLES[status])


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A plain table; only the last column is cut where the screen ends, so that ids can be copied."""
    # Text is what it is: no markup is read out of what users wrote.
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    made = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for index, column in enumerate(columns[:-1]):
        width = max([cell_len(column), *(cell_len(row[index].plain) for row in cells)])
        made.add_column(column, no_wrap=True, min_width=width)
    made.add_column(columns[-1], no_wrap=True, overflow="ellipsis", ratio=1)
    for row in cells:
        made.add_row(*row)
    return made


def show_resources(session: Session, resources: Iterable[Resource]) -> None:
    if session.as_json:
        for resource in resources:
            print_json(resource.raw)
        return
    rows = [(each.resource_id, each.name, each.created_at, each.description or "") for each in resources]
    session.out.print(table(("id", "name", "created", "description"), rows))


def show_resource(session: Session, resource: Resource) -> None:
    """All of a resource: its JSON, laid out for people on a terminal."""
    if session.is_live:
        session.out.print_json(orjson.dumps(resource.raw).decode())
    else:
        print_json(resource.raw)


def show_result(session: Session, execution: Execution) -> None:
    """The end of an execution and the page of documents it holds."""
    if session.as_json:
        print_json(execution.raw)
        return
    line = Text.assemble(execution.execution_id, " ", styled(execution.status))
    if execution.error:
        line.append(f": {execution.error}")
    session.out.print(line, soft_wrap=True)
    for warning in execution.warnings:
        session.out.print(Text(f"warning: {warning}", style="yellow"), soft_wrap=True)
    if execution.has_result:
        _show_documents(session, execution)


def _show_documents(session: Session, execution: Execution) -> None:
    rows = [
        (str(each.get("document_id", "")), _score(each.get("score")), _brief(each.get("payload") or each))
        for each in execution.documents
    ]
    if rows:
        session.out.print(table(("document", "score", "payload"), rows))
    total = execution.pagination.get("total", len(rows))
    session.out.print(Text(f"{len(rows):,} of {total:,} documents", style="dim"))


def _score(score: float | None) -> str:
    return "" if score is None else f"{score:.4f}"


def _brief(payload: Mapping[str, Any]) -> str:
    """The user's fields in one line."""
    shown = {name: value for name, value in payload.items() if name not in _NO_FIELDS_OF_USERS}
    return "  ".join(f"{name}: {_text(value)}" for name, value in shown.items())


def _text(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else orjson.dumps(value).decode()
