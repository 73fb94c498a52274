"""`kennel batch`: submit every line of a file, show how far it is, and go on where it was stopped."""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from client.batch.results import STDOUT, open_results, results_size
from client.batch.run import Batch, Tally, run_batch
from client.batch.state import BatchIdentity, BatchState, open_state
from client.bounded import CONCURRENCY, CONCURRENCY_MAX
from client.cli.files import RETRY_S, Done, FileArgument, FormatOption, progress_bar
from client.cli.output import print_json
from client.cli.session import (
    EXIT_COULD_NOT_RUN,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    Session,
    TimeoutOption,
    fail,
    remote,
)
from client.errors import KennelError
from client.kennel import WAIT_TIMEOUT_S
from client.records import Source
from shared.models.execution import Priority

app = typer.Typer()


@remote(app, "batch", retry_s=RETRY_S)
def batch(
    session: Session,
    file: FileArgument,
    *,
    retriever: Annotated[str, typer.Option("--retriever", "-r", help="Id or name.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Results as JSONL; - = stdout. Default: FILE.results.jsonl."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="What is finished. Default: FILE.state; for standard input none is kept."),
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", min=1, max=CONCURRENCY_MAX, help="Executions at a time.")
    ] = CONCURRENCY,
    limit: Annotated[int | None, typer.Option(min=1, help="Documents in each result. Default: 20.")] = None,
    priority: Annotated[Priority, typer.Option(help="Their queue: bulk ones wait for all others.")] = "bulk",
    timeout: TimeoutOption = WAIT_TIMEOUT_S,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run again what failed in an earlier run.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget earlier runs and their results.")
    ] = False,
    format_: FormatOption = None,
) -> int:
    """Submit every line of a file; run again, it goes on with what is not finished.

    A line is the inputs of an execution as a JSON object, or a whole body {"inputs": {…}, "limit": …}; in CSV
    the first line names the inputs. A line is known by its number and content, so lines that are changed or
    added are run, too.

    Exit code 0: every line completed; 1: some failed; 2: could not run; 130: Ctrl-C.
    """
    source = Source.of(file, format_)
    made = Batch(
        source=source,
        retriever=session.kennel.retrievers.get(retriever),
        options={"priority": priority} | ({} if limit is None else {"limit": limit}),
        concurrency=concurrency,
        timeout_s=timeout,
    )
    results = output or (STDOUT if source.is_stdin else _beside(file, ".results.jsonl"))
    identity = BatchIdentity(
        batch_id=secrets.token_hex(8) if restart or source.is_stdin else _id_of(file),
        retriever=made.retriever.name,
        namespace=session.kennel.namespace,
        results=str(results if results == STDOUT else results.absolute()),
    )
    state_file = state or (None if source.is_stdin else _beside(file, ".state"))
    with _state(state_file, identity, results, restart=restart) as known:
        if retry_failed:
            known.forget_failed()
        return _run(session, made, known, results, is_resumable=state_file is not None)


def _run(session: Session, made: Batch, known: BatchState, results: Path, *, is_resumable: bool) -> int:
    total = made.source.count()
    tally = Tally()

    def report() -> None:
        failed = tally.failed + tally.failed_earlier
        advance(Done(tally.finished, tally.completed + tally.failed, failed))

    again = "the same command goes on" if is_resumable else "nothing was recorded, see --state"
    try:
        with open_results(results, known) as file, progress_bar(session, "lines", total) as advance:
            run_batch(session.kennel, made, known, file, tally, report)
    except KeyboardInterrupt:
        fail(f"interrupted: {_count(tally, total)} finished; {again}")
        return EXIT_INTERRUPTED
    except KennelError as error:
        fail(f"{error} ({_count(tally, total)} finished; {again})")
        return EXIT_COULD_NOT_RUN
    _summarize(session, tally, total, results)
    return EXIT_FAILED if tally.failed or tally.failed_earlier or tally.unfinished else 0


def _summarize(session: Session, tally: Tally, total: int | None, results: Path) -> None:
    if session.as_json:
        facts: dict[str, Any] = {
            "lines": tally.finished + tally.unfinished,
            "completed": tally.completed,
            "failed": tally.failed,
            "unfinished": tally.unfinished,
            "earlier": tally.earlier,
            "failed_earlier": tally.failed_earlier,
            "results": str(results),
        }
        if results != STDOUT:  # there it would be one more result
            print_json(facts)
        return
    parts = [
        (tally.completed, "completed", ""),
        (tally.failed, "failed", "bold red"),
        (tally.unfinished, "not finished in time", "yellow"),
        (tally.earlier, "finished by an earlier run", "dim"),
        (tally.failed_earlier, "failed in an earlier run (--retry-failed runs them again)", "red"),
    ]
    told = [Text(f"{count:,} {what}", style=style) for count, what, style in parts if count]
    line = Text(f"{_count(tally, total)} finished: ") + Text(", ").join(told)
    session.err.print(line, soft_wrap=True)
    if results != STDOUT:
        session.err.print(Text(f"results: {results}"), soft_wrap=True)


def _count(tally: Tally, total: int | None) -> str:
    return f"{tally.finished:,} of {total:,} lines" if total is not None else f"{tally.finished:,} lines"


@contextmanager
def _state(
    path: Path | None, identity: BatchIdentity, results: Path, *, restart: bool
) -> Iterator[BatchState]:
    if path is None:
        yield BatchState(io.BytesIO(), identity)
        return
    with open_state(path, identity, results_size(results), restart=restart) as state:
        yield state


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)


def _id_of(file: Path) -> str:
    """The same for each run over the same file."""
    return hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:16]
