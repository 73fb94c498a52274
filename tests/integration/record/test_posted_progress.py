"""Progress that is sent at each step: nobody waits for a reply, and none is taken for granted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import redis

from shared import keys
from shared.models.execution import Claim, figures
from shared.redis_sync import connect
from shared.settings import Settings
from shared.stores.ledger import Ledger
from tests.chaos.proxy import Proxy
from tests.integration.record.conftest import DETAIL, Submit, answer, outcome
from workers.lease import run as run_module
from workers.lease.run import Run


@dataclass
class Keeper:
    """What a run needs of one, without a thread: a test flushes where the keeper would."""

    ledger: Ledger
    progress_interval_s: float = 0.0
    lease_s: float = 10.0
    grace_is_over: bool = False

    def flush_at(self, at: float) -> None:
        pass

    def confirm(self, run: Run) -> None:
        raise AssertionError("its lease lasts")


@pytest.fixture
def proxy(server_url: str) -> Iterator[Proxy]:
    with Proxy(urlsplit(server_url).port or 0) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: Proxy, settings: Settings) -> Iterator[Ledger]:
    """A ledger whose connections can be cut."""
    with connect(f"redis://127.0.0.1:{proxy.port}/0", timeout_s=0.5) as client:
        yield Ledger(client, settings, "worker-a")


def claimed(submit: Submit, ledger: Ledger) -> Claim:
    submit("exec_a")
    claim = ledger.claim("exec_a")
    assert claim is not None
    return claim


def publish(run: Run, stage: str, stages_completed: int) -> None:
    run.publish(stage, stages_completed, lambda: (DETAIL, figures()))


def stage_of(client: redis.Redis) -> bytes | None:
    stage: bytes | None = client.hget(keys.execution("exec_a"), "stage")  # type: ignore[assignment]
    return stage


def test_each_step_is_written_and_the_replies_come_with_the_outcome(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    claim = claimed(submit, ledger)
    run = Run(claim, Keeper(ledger))
    began = client.info("stats")["total_reads_processed"]
    publish(run, "second", 1)
    publish(run, "third", 2)
    assert ledger.finish(claim, outcome(), claim_next=False)[0]
    reads = client.info("stats")["total_reads_processed"] - began - 1  # less this question
    assert reads <= 3
    assert b'"revision":5' in answer(client, "exec_a")  # submit, claim, two steps, outcome
    publish(run, "fourth", 3)
    assert run.lost is False


def test_one_that_lost_the_execution_learns_of_it(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    claim = claimed(submit, ledger)
    run = Run(claim, Keeper(ledger))
    client.hincrby(keys.execution("exec_a"), "epoch", 1)
    publish(run, "second", 1)
    assert not run.lost
    ledger.heartbeat([], patience_s=1)  # any call reads what came before
    publish(run, "third", 2)
    assert run.lost


def test_what_was_cut_off_is_written_again(
    client: redis.Redis, behind: Ledger, proxy: Proxy, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_CONFIRM_AFTER_S", 0.0)
    claim = claimed(submit, behind)
    run = Run(claim, Keeper(behind))
    proxy.mark("request")
    publish(run, "second", 1)
    assert stage_of(client) == b'"first"'
    due_at = run.due_at()
    assert due_at is not None
    run.write_due(due_at)
    assert stage_of(client) == b'"second"'
    assert run.due_at() is None


def test_without_a_server_the_run_goes_on_and_the_keeper_sends_it(
    client: redis.Redis, behind: Ledger, proxy: Proxy, submit: Submit
) -> None:
    claim = claimed(submit, behind)
    run = Run(claim, Keeper(behind))
    proxy.refuse()
    publish(run, "second", 1)
    publish(run, "third", 2)
    assert stage_of(client) == b'"first"'
    proxy.accept()
    due_at = run.due_at()
    assert due_at is not None
    run.write_due(due_at)
    assert stage_of(client) == b'"third"'
    assert behind.finish(claim, outcome(), claim_next=False)[0]
