"""The table for people and the file for programs."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.figures import Row

_NAME_WIDTH, _WIDTH = 42, 100
_SHARED = "Other programs share this machine: compare the ratios, not the figures."


def print_facts(facts: Mapping[str, str]) -> None:
    for name, value in facts.items():
        print(f"{name:>13}  {value}")
    print(f"{'':>13}  {_SHARED}\n", flush=True)


def table(rows: Sequence[Row]) -> str:
    """All rows under the headings of their groups; the verdict counts targets met."""
    head = f"{'':{_NAME_WIDTH}}{'unit':>5}{'Kennel':>11}{'baseline':>11}{'ratio':>8}{'target':>10}"
    lines = [head, "─" * _WIDTH]
    for group, members in groupby(rows, key=lambda row: row.group):
        lines += [group, *(_line(row) for row in members)]
    verdicts = [row.is_met for row in rows if row.is_met is not None]
    return "\n".join([*lines, "─" * _WIDTH, f"{sum(verdicts)} of {len(verdicts)} targets met"])


def write_json(path: Path, facts: Mapping[str, str], rows: Sequence[Row]) -> None:
    """{"machine": …, "rows": [each with the figures of its rounds]}."""
    body = {"machine": dict(facts), "rows": [row.as_json() for row in rows]}
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")


def _line(row: Row) -> str:
    return f"  {row.name:{_NAME_WIDTH - 2}}{row.unit:>5}" + "".join(_cells(row)).rstrip()


def _cells(row: Row) -> Iterator[str]:
    yield f"{_median(row.kennel):>11}"
    yield f"{_median(row.baseline):>11}"
    yield f"{f'{row.ratio:.2f}x' if row.ratio is not None else '':>8}"
    if row.target is not None:
        yield f"{f'{row.target.sign} {row.target.limit:g}':>10}"
        yield "  met" if row.is_met else "  NOT MET"


def _median(values: Sequence[float]) -> str:
    """Three significant digits or whole numbers; '-' for none."""
    if not values:
        return "-"
    value = statistics.median(values)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
