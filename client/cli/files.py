"""What `batch` and `load` have in common: the file that is read and the bar that shows how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
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


@dataclass(frozen=True, slots=True)
class Done:
    """How far a command is."""

    total: int  # of the lines of the file
    by_this_run: int
    failed: int = 0


Advance = Callable[[Done], None]


class _Pace(ProgressColumn):
    """Lines per second, and the time that the rest takes at this pace. Rich's own count earlier runs in."""

    def render(self, task: Task) -> Text:
        done: Done = task.fields["done"]
        if not done.by_this_run or not task.elapsed:
            return Text("")
        rate = done.by_this_run / task.elapsed
        left_s = None if task.remaining is None else round(task.remaining / rate)
        left = "" if left_s is None else f"  {timedelta(seconds=left_s)} left"
        return Text(f"{rate:,.0f}/s{left}", style="cyan")


class _Failures(ProgressColumn):
    def render(self, task: Task) -> Text:
        failed = task.fields["done"].failed
        return Text(f"{failed:,} failed", style="bold red" if failed else "dim")


@contextmanager
def progress_bar(session: Session, what: str, total: int | None) -> Iterator[Advance]:
    """A bar with pace, remaining time and failures, on stderr; nothing when that is no terminal."""
    if not session.err.is_terminal or session.as_json:
        yield lambda done: None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), _Pace(), _Failures())
    with Progress(*columns, console=session.err, refresh_per_second=5) as progress:
        task = progress.add_task(what, total=total, done=Done(0, 0))
        yield lambda done: progress.update(task, completed=done.total, done=done)
