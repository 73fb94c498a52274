"""The doctor beside real workers: silent while all is well, and at hand when every worker was killed."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.stack import Stack, create_retriever, ended, execute, gate, kill, poll_until, stack
from tests.waiting import wait_until


def examined(service: Stack, *options: str) -> tuple[int, set[tuple[str, str]]]:
    """(exit code, (check, subject) of what was found) of a `kennel doctor` of its own process."""
    log = service.directory / "doctor.log"
    log.unlink(missing_ok=True)
    process = service.start("doctor", "ops.cli", "doctor", "--json", *options)
    code = process.wait(30)
    findings = orjson.loads(log.read_text())["findings"]
    return code, {(each["check"], each["subject"]) for each in findings}


@pytest.mark.slow
def test_what_killed_workers_held_is_put_back_by_hand(tmp_path: Path) -> None:
    with stack(tmp_path) as service, service.namespace("demo") as client:
        worker = service.start_worker("first")
        create_retriever(client, "held", [gate("one")])
        held = [execute(client, "held") for _ in range(6)]  # four run, two wait
        wait_until(lambda: all(service.starts(each) for each in held[:4]), 20, "four to run")
        assert examined(service) == (0, set())
        kill(worker)
        expired = {("expired lease", each) for each in held[:4]}
        wait_until(lambda: examined(service) == (1, expired), 30, "the leases to be over for long")
        assert examined(service, "--fix") == (1, expired)
        assert examined(service, "--fix") == (0, set())
        service.open("one")
        service.start_worker("second")
        for each in held:
            poll_until(client, "held", each, ended, "the end")
        assert examined(service) == (0, set())
        stats = client.get("/stats").json()
        assert (stats["submitted"], stats["completed"], stats["attempts"], stats["requeued"]) == (6, 6, 10, 4)
        assert stats["balanced"]
