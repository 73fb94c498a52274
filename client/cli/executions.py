"""`kennel submit`, `poll`, `wait`, `list` and `cancel`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.text import Text

from client.cli.output import print_json, styled, table
from client.cli.progress import follow, show_end
from client.cli.session import ExecutionArgument, RetrieverArgument, Session, TimeoutOption, remote
from client.errors import NotConfigured
from client.kennel import WAIT_TIMEOUT_S
from shared.models.execution import Priority

app = typer.Typer()

LIST_LIMIT = 20

InputsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME=TEXT | NAME:=JSON]...", help="Inputs: query='compress data' top_k:=3"),
]
InputsOption = Annotated[
    str | None, typer.Option("--inputs", help="All inputs as a JSON object, or @FILE that holds it.")
]


@remote(app, "submit")
def submit(
    session: Session,
    retriever: RetrieverArgument,
    inputs: InputsArgument = None,
    *,
    inputs_json: InputsOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Documents in the answer. Default: 20.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key and inputs are the same execution for 24 hours.")
    ] = None,
    priority: Annotated[
        Priority | None, typer.Option(help="Its queue. Default: interactive with --wait, else normal.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Show its progress and its result.")] = False,
    timeout: TimeoutOption = WAIT_TIMEOUT_S,
) -> int:
    """Submit an execution; print its id."""
    asked = {"limit": limit, "priority": priority or ("interactive" if wait else None)}
    options: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    given = {**_inputs_object(inputs_json), **_named_inputs(inputs or ())}
    execution = session.kennel.submit(retriever, given, idempotency_key=idempotency_key, **options)
    if wait:
        return follow(session, execution, timeout)
    if session.as_json:
        print_json(execution.raw)
        return 0
    session.out.print(Text.assemble(execution.execution_id, " ", styled(execution.status)), soft_wrap=True)
    if session.is_live:
        session.out.print(Text(f"kennel poll {retriever} {execution.execution_id}", style="dim"))
    return 0


@remote(app, "poll")
def poll(
    session: Session,
    retriever: RetrieverArgument,
    execution_id: ExecutionArgument,
    *,
    timeout: TimeoutOption = WAIT_TIMEOUT_S,
) -> int:
    """Show the progress of an execution stage by stage, then its result.

    Exit code 0: it ended well; 1: it failed or was cancelled; 2: it has not ended in time.
    """
    return follow(session, session.kennel.get(retriever, execution_id), timeout)


@remote(app, "wait")
def wait(
    session: Session,
    retriever: RetrieverArgument,
    execution_id: ExecutionArgument,
    *,
    timeout: TimeoutOption = WAIT_TIMEOUT_S,
) -> int:
    """Wait for the end of an execution, and show its result only. Exit codes as of `poll`."""
    execution = session.kennel.get(retriever, execution_id)
    return show_end(session, session.kennel.wait(execution, timeout))


@remote(app, "list")
def list_(
    session: Session,
    retriever: RetrieverArgument,
    *,
    status: Annotated[
        str | None,
        typer.Option(help="pending, processing, completed, degraded, failed or cancelled."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = LIST_LIMIT,
) -> None:
    """List the executions of a retriever, newest first."""
    found = session.kennel.list_executions(retriever, status=status, page_size=min(limit, 1_000))
    summaries = islice(found, limit)
    if session.as_json:
        for summary in summaries:
            print_json(summary.raw)
        return
    rows = [
        (
            each.execution_id,
            styled(each.status),
            each.created_at,
            f"{each.duration_ms:,.0f} ms",
            f"{each.total_returned:,}",
            each.query_summary or "",
        )
        for each in summaries
    ]
    session.out.print(table(("execution", "status", "submitted", "took", "documents", "query"), rows))


@remote(app, "cancel")
def cancel(session: Session, retriever: RetrieverArgument, execution_id: ExecutionArgument) -> None:
    """Take an execution from the queue, or stop it at its next check."""
    cancelled = session.kennel.cancel(retriever, execution_id)
    if session.as_json:
        print_json(cancelled.raw)
        return
    sentences = {
        "removed_from_queue": "is taken from the queue and will not run",
        "stopping": f"is stopping in stage {cancelled.stops_after}",
        "already_terminal": f"had ended already: {cancelled.status}",
    }
    session.out.print(Text(f"{execution_id} {sentences.get(cancelled.outcome, cancelled.outcome)}"))


def _inputs_object(text: str | None) -> Mapping[str, Any]:
    """The object of `--inputs`. Raises NotConfigured."""
    if text is None:
        return {}
    try:
        raw = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
        inputs = orjson.loads(raw)
    except (OSError, orjson.JSONDecodeError) as error:
        raise NotConfigured(f"--inputs {text}: {error}") from error
    if not isinstance(inputs, dict):
        raise NotConfigured(f"--inputs {text}: not a JSON object")
    return inputs


def _named_inputs(pairs: Sequence[str]) -> Mapping[str, Any]:
    """Inputs from `name=text` and `name:=json`. Raises NotConfigured."""
    return dict(_named_input(pair) for pair in pairs)


def _named_input(pair: str) -> tuple[str, Any]:
    name, is_pair, value = pair.partition("=")
    if not is_pair or not name.strip(":"):
        raise NotConfigured(f"{pair!r} is no input; write NAME=TEXT or NAME:=JSON")
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise NotConfigured(f"{pair!r}: {value!r} is not JSON ({error}); write NAME=TEXT for text") from error
