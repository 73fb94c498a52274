"""The progress of one execution: redrawn on a terminal, a line for each change elsewhere."""

from __future__ import annotations

from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from client.cli.output import print_json, show_result, styled
from client.cli.session import EXIT_FAILED, Session
from client.models import Execution

_WAIT_REASONS = {
    "queued": "in the queue",
    "namespace_turn": "behind others of its namespace",
    "no_worker_online": "no worker is online",
    "retry_backoff": "waiting to try again",
}


def follow(session: Session, execution: Execution, timeout_s: float) -> int:
    """Show the execution until it has ended, then its result; the exit code."""
    now = execution
    if session.is_live:
        with Live(console=session.out, transient=True, refresh_per_second=8) as live:
            for now in session.kennel.poll(execution, timeout_s):
                live.update(stages_of(now))
        session.out.print(stages_of(now))
    else:
        for now in session.kennel.poll(execution, timeout_s):
            if not now.is_terminal:
                _print_line(session, now)
    return show_end(session, now)


def show_end(session: Session, execution: Execution) -> int:
    """Show what an execution that has ended came to; the exit code."""
    show_result(session, execution)
    return 0 if execution.has_result else EXIT_FAILED


def stages_of(execution: Execution) -> Table:
    """A line for each stage: those that have ended, the one that runs, and how many come."""
    grid = Table.grid(padding=(0, 2))
    for stage in execution.stages:
        mark = Text("✗", style="red") if stage.error else Text("✓", style="green")
        took = Text(f"{stage.duration_ms:,.0f} ms", style="dim", justify="right")
        counts = Text(f"{stage.input_count:,} → {stage.output_count:,}", style="dim")
        grid.add_row(mark, Text(stage.name), counts, took, Text(stage.error or "", style="red"))
    if execution.is_terminal:
        return grid
    now = execution.current_stage or _WAIT_REASONS.get(execution.wait_reason or "", execution.status)
    grid.add_row(Spinner("dots", style="cyan"), Text(now), _attempt(execution))
    to_come = execution.total_stages - execution.stages_completed - bool(execution.current_stage)
    if to_come > 0:
        grid.add_row(Text("·", style="dim"), Text(f"{to_come} to come", style="dim"))
    return grid


def _attempt(execution: Execution) -> Text:
    return Text(f"attempt {execution.attempt}" if execution.attempt > 1 else "", style="yellow")


def _print_line(session: Session, execution: Execution) -> None:
    if session.as_json:
        print_json(execution.raw)
        return
    where = execution.current_stage or execution.wait_reason or ""
    done = f"{execution.stages_completed}/{execution.total_stages}"
    line = Text.assemble(execution.execution_id, " ", styled(execution.status), f" {done} {where}")
    session.out.print(line, soft_wrap=True)
