"""The tables of a run."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tests.chaos.outcome import Outcome

_SHOWN_MAX = 20  # sentences of one kind


def show(outcome: Outcome, console: Console) -> None:
    console.print(_figures(outcome))
    console.print(_faults(outcome))
    for sentence in [*outcome.verdict.faults[:_SHOWN_MAX], *outcome.slow[:_SHOWN_MAX]]:
        console.print(f"[red]WRONG[/red] {sentence}", highlight=False)


def _figures(outcome: Outcome) -> Table:
    verdict = outcome.verdict
    table = Table(title=f"Chaos, seed {outcome.plan.seed}", title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    rows: list[tuple[str, object]] = [
        ("executions submitted", outcome.submitted),
        *((f"… {status}", count) for status, count in sorted(verdict.statuses.items())),
        ("lost", len(verdict.lost)),
        ("doubled", len(verdict.doubled)),
        ("stages run again after their checkpoint", len(verdict.repeated)),
        ("stages run again that had none", verdict.stages_run_again - len(verdict.repeated)),
        ("documents written", outcome.documents),
        ("documents missing, counts that do not balance", len(verdict.missing)),
        ("answers 500", len(verdict.crashes)),
        ("stale writes refused", outcome.stale_writes_refused),
        ("faults", len(outcome.struck)),
        ("… with 10 or more executions in flight", outcome.busy_faults),
        ("slowest recovery, a worker surviving (s)", _slowest(outcome, leaves_a_worker=True)),
        ("slowest recovery, no worker surviving (s)", _slowest(outcome, leaves_a_worker=False)),
        ("seconds", f"{outcome.seconds:.0f}"),
        ("doubled once the fence is taken out (must not be 0)", len(outcome.unfenced)),
    ]
    for what, figure in rows:
        table.add_row(what, str(figure))
    return table


def _slowest(outcome: Outcome, *, leaves_a_worker: bool) -> str:
    recoveries = [s for struck, s in outcome.struck if struck.kind.leaves_a_worker == leaves_a_worker]
    return f"{max(recoveries):.1f}" if recoveries else "none struck"


def _faults(outcome: Outcome) -> Table:
    table = Table(title="Faults", title_justify="left")
    for column in ("no.", "fault", "what it struck"):
        table.add_column(column)
    for column in ("in flight", "recovery (s)"):
        table.add_column(column, justify="right")
    for number, (struck, recovery_s) in enumerate(outcome.struck, 1):
        table.add_row(
            str(number), struck.kind.name, struck.target, str(struck.in_flight), f"{recovery_s:.1f}"
        )
    return table


def is_good(outcome: Outcome) -> bool:
    """Nothing wrong, nothing slow, and the referee would have seen it."""
    busy_enough = outcome.busy_faults * 2 >= len(outcome.struck)
    return not outcome.verdict.faults and not outcome.slow and busy_enough and bool(outcome.unfenced)
