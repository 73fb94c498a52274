"""What `batch` and `load` have in common: the file that is read and the bar that shows how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from client.cli.session import Session
from client.records import Format

# The server may restart meanwhile.
RETRY_S = 60.0

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="JSONL or CSV; - = standard input.")]
FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="Default: by the file's name; standard input is JSONL."),
]

# Called with what is done so far, and how much of it failed.
Advance = Callable[[int, int], None]


class _Rate(TextColumn):
    """Per second, over what this run has done."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="cyan")


class _Failures(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        failed = task.fields["failed"]
        return Text(f"{failed:,} failed", style="bold red" if failed else "dim")


@contextmanager
def progress_bar(session: Session, what: str, total: int | None) -> Iterator[Advance]:
    """A bar with rate, remaining time and failures, on stderr; nothing when that is no terminal."""
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(compact=True),
        _Failures(),
    )
    is_shown = session.err.is_terminal and not session.as_json
    with Progress(*columns, console=session.err, refresh_per_second=5, disable=not is_shown) as progress:
        task = progress.add_task(what, total=total, failed=0)

        def advance(done: int, failed: int) -> None:
            progress.update(task, completed=done, failed=failed)

        yield advance if is_shown else (lambda done, failed: None)
