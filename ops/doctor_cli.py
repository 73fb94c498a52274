"""`kennel doctor`: what is wrong in an installation, and its repair."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from ops.doctor.examine import Finding, Report, examine
from ops.installation import DataDirOption, installation_redis
from ops.options import load_settings

EXIT_FOUND = 1


def doctor(
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is found; may be repeated.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    data_dir: DataDirOption = None,
) -> None:
    """Look for executions that cannot go on, wrong counters, and keys that are left over.

    Works while everything runs: what is in motion is looked at twice. Run it with the environment of the
    installation, whose settings say what is right. Exit code 0: nothing is wrong; 1: something was found,
    mended or not; 2: could not look.
    """
    settings = load_settings(data_dir=data_dir)
    with installation_redis(settings) as redis:
        report = examine(redis, settings, fix=fix)
    typer.echo(_json(report) if as_json else _text(report, fix=fix))
    raise typer.Exit(EXIT_FOUND if report.findings else 0)


def _json(report: Report) -> str:
    body = {
        "healthy": not report.findings,
        "keys": report.keys,
        "notes": report.notes,
        "findings": [_row(each) for each in report.findings],
    }
    return orjson.dumps(body).decode()


def _row(finding: Finding) -> dict[str, object]:
    fault = finding.fault
    return {
        "check": fault.kind.name,
        "severity": fault.kind.severity,
        "subject": fault.subject,
        "found": fault.found,
        "advice": fault.kind.advice,
        "mended": finding.mended,
    }


def _text(report: Report, *, fix: bool) -> str:
    lines = [_line(each, fix=fix) for each in report.findings]
    lines += [f"note: {note}" for note in report.notes]
    count = len(report.findings)
    if not count:
        lines.append(f"nothing is wrong ({report.keys:,} keys)")
    elif fix:
        mended = sum(each.mended for each in report.findings)
        lines.append(f"{count} found, {mended} mended; the rest went away by itself or by another repair")
    else:
        lines.append(f"{count} found; `kennel doctor --fix` mends them")
    return "\n".join(lines)


def _line(finding: Finding, *, fix: bool) -> str:
    fault = finding.fault
    verdict = (
        ("mended" if finding.mended else "gone meanwhile") if fix else f"--fix would {fault.kind.advice}"
    )
    return f"{fault.kind.severity:<6} {fault.kind.name}: {fault.subject}: {fault.found} ({verdict})"
