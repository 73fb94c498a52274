"""The execution record as workers write it: claim, heartbeat, progress, finish, release, sweep, cancel.

Every method is one round trip of one atomic function (shared/lua), repeatable, and retried through an
outage of the server for `patience_s`. See docs/record.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import orjson
import redis

from shared import broker, keys, result_chunks
from shared.models.alert_run import AlertRun, Evaluation
from shared.models.execution import Claim, ExecutionRequest, Told
from shared.packing import packed
from shared.queue_order import queues_in_turn
from shared.redis_sync import Argument, Functions, Posted, text, texts, through_outage
from shared.settings import Settings

_PATIENCE_S = 120.0  # an outage of a minute and a half makes nothing run again
_PROGRESS_PATIENCE_S = 1.0
_NEXT_TRIES = 4  # messages of ended executions skipped in one finish
_SWEEP_BATCH = 100
LOST_WINDOW_MS = 3_000  # a lost message is noticed after one to two of these
_NOTHING_TOLD = Told()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended, ready to store."""

    status: str
    error: str | None
    stages_completed: int
    detail: bytes
    figures: bytes
    documents: Sequence[bytes] = ()  # the whole result, when it is more than the page in `detail`
    profile: bytes = b""  # what each stage did, for estimates: see StageProfile
    evaluation: Evaluation | None = None  # of an alert


@dataclass(frozen=True, slots=True)
class Measurements:
    """What is to be added to which fields of `kennel:metrics`. The token tells a repeat from the next."""

    token: str
    amounts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SweepReport:
    requeued: int
    failed: int
    sent_again: int
    retried: int  # have waited for a retry, and are in the queue now
    held: bool
    held_by_worker: tuple[tuple[str, int, str], ...] = ()  # (execution id, epoch, process)

    @property
    def more(self) -> bool:
        counts = (self.requeued + self.failed, self.sent_again, self.retried)
        return max(counts) >= _SWEEP_BATCH


class Ledger:
    """One per process; safe to share between threads."""

    def __init__(self, client: redis.Redis, settings: Settings, worker: str, process: str = "") -> None:
        """`worker` is the name that counts as online; `process` the one of its processes that claims here."""
        self._client = client
        self._looks, self._claims = count(), count()
        self._nonce = secrets.token_hex(8)
        self._functions = Functions(client)
        self._settings = settings
        self.worker = worker
        self._process = process or f"{worker}/"
        self._retention: tuple[int, int, int] = (
            settings.result_ttl_s,
            settings.summary_ttl_s,
            settings.history_max,
        )

    def claim(self, execution_id: str) -> Claim | None:
        """The right to run it, or None when it has ended, is being run, or never was."""
        nonce = self._next_nonce()
        reply = self._call("claim", execution_id, nonce, self._process, self._settings.lease_ms)
        return _claim(reply)

    def heartbeat(
        self,
        held: Sequence[tuple[str, int]],
        *,
        patience_s: float,
        stopping: bool = False,
        measurements: Measurements | None = None,
    ) -> list[str]:
        """Renew the leases of (execution id, epoch); returns the ids that are lost.

        The worker counts as online from now on, unless it is `stopping`. Measurements with the token of the
        last ones are not added again.
        """
        token, amounts = (measurements.token, measurements.amounts) if measurements else ("", {})
        reply = self._call(
            "heartbeat",
            "" if stopping else self.worker,
            self._settings.lease_ms,
            self._process,
            token,
            len(amounts),
            *_flattened(amounts.items()),
            *_flattened(held),
            patience_s=patience_s,
        )
        return texts(reply)

    def progress(
        self,
        claim: Claim,
        number: int,
        stage: str | None,
        stages_completed: int,
        detail: bytes,
        figures: bytes,
        told: Told = _NOTHING_TOLD,
    ) -> bool:
        """Publish; False when the execution is no longer this attempt's.

        Not worth a long wait: what could not be written goes with the next write.
        """
        arguments = _progress(claim, number, stage, stages_completed, detail, figures, told)
        word = self._call("progress", *arguments, patience_s=_PROGRESS_PATIENCE_S)
        return text(word) != "lost"

    def post_progress(
        self,
        claim: Claim,
        number: int,
        stage: str | None,
        stages_completed: int,
        detail: bytes,
        figures: bytes,
        told: Told = _NOTHING_TOLD,
    ) -> Posted:
        """Publish without waiting for the word, which is `lost` when it is no longer this attempt's.

        Raises:
            What `AWAY` names, at once.
        """
        arguments = _progress(claim, number, stage, stages_completed, detail, figures, told)
        return self._functions.post("progress", *arguments)

    def checkpoint(self, claim: Claim, stage: str, total: int, rows: bytes, state: bytes) -> bool:
        """Keep what a later attempt goes on with; False when it is no longer this attempt's.

        Args:
            stage: the last one that ended; total: how many documents it left.
            rows: the first of them as a result shows them, a JSON array.

        As progress, it is not worth a long wait.
        """
        word = self._call(
            "checkpoint",
            claim.execution_id,
            claim.epoch,
            self._settings.result_ttl_s,
            stage,
            total,
            rows,
            state,
            patience_s=_PROGRESS_PATIENCE_S,
        )
        return text(word) != "lost"

    def checkpoint_state(self, execution_id: str) -> bytes | None:
        """What an earlier attempt left, if anything."""
        key = keys.checkpoint(execution_id)
        state: Any = through_outage(lambda: self._client.hget(key, "state"), patience_s=_PATIENCE_S)
        found: bytes | None = state
        return found

    def forget_checkpoint(self, execution_id: str) -> None:
        """The run has ended; should this be lost, the key ends by itself."""
        through_outage(lambda: self._client.delete(keys.checkpoint(execution_id)), patience_s=0)

    def finish(
        self, claim: Claim, outcome: Outcome, *, claim_next: bool, told: Told = _NOTHING_TOLD
    ) -> tuple[bool, Claim | None]:
        """Write the terminal state once; with `claim_next`, take the next execution in the same call.

        Returns (written by this attempt, the next claim or None).
        """
        nonce = self._next_nonce()
        events, evaluation = _arguments(told), _evaluated(outcome.evaluation)
        reply = self._call(
            "finish",
            claim.execution_id,
            claim.epoch,
            outcome.status,
            orjson.dumps(outcome.error),
            outcome.stages_completed,
            packed(outcome.detail),
            outcome.figures,
            *self._retention,
            " ".join(queues_in_turn(next(self._looks))) if claim_next else "",
            nonce,
            self._process,
            self._settings.lease_ms,
            _NEXT_TRIES,
            outcome.profile,
            len(events),
            *events,
            len(evaluation),
            *evaluation,
            *result_chunks.packed(outcome.documents),
        )
        return text(reply[0]) != "lost", _claim(reply[1:])

    def release(self, claim: Claim, *, patience_s: float) -> bool:
        """Hand it back to the queue's head; False when it was not this attempt's any more."""
        word = self._call(
            "release", claim.execution_id, claim.epoch, broker.message_template(), patience_s=patience_s
        )
        return text(word) == "released"

    def retry(
        self, claim: Claim, delay_ms: int, stages_completed: int, detail: bytes, figures: bytes
    ) -> bool:
        """Let it wait for another attempt; False when it was not this attempt's any more."""
        word = self._call(
            "retry",
            claim.execution_id,
            claim.epoch,
            delay_ms,
            stages_completed,
            detail,
            figures,
        )
        return text(word) == "waiting"

    def cancel(self, execution_id: str, reason: str) -> str:
        """End a pending execution: cancelled, running, terminal or missing."""
        reply = self._call("cancel", execution_id, orjson.dumps(reason), *self._retention, "pending")
        return text(reply[0])

    def sweep(self) -> SweepReport:
        """One pass over leases and queues; repeat while `more`."""
        settings = self._settings
        reply = self._call(
            "sweep",
            broker.message_template(),
            2 * settings.heartbeat_ms,
            2 * settings.heartbeat_ms + 1_000,
            LOST_WINDOW_MS,
            settings.max_attempts,
            _SWEEP_BATCH,
            given_up(settings.max_attempts),
            *self._retention,
            10 * settings.heartbeat_ms,
            self.worker,
            *broker.QUEUES,
            patience_s=0,
        )
        requeued, failed, sent, retried, held, *flat = reply
        holders = zip(texts(flat[::3]), map(int, flat[1::3]), texts(flat[2::3]), strict=True)
        return SweepReport(int(requeued), int(failed), int(sent), int(retried), bool(held), tuple(holders))

    def abandon(self, execution_id: str, epoch: int) -> bool:
        """The process that held it is gone: its lease ends at the next sweep. False: it has lost it."""
        return text(self._call("abandon", execution_id, epoch, patience_s=0)) == "abandoned"

    def tell_stuck(self, execution_ids: Sequence[str], *, patience_s: float) -> None:
        """Stages of this process that cannot be ended count as such as long as they are told of."""
        self._call("tell_stuck", self._process, *execution_ids, patience_s=patience_s)

    def resign(self) -> None:
        """Take this worker off the list of those online."""
        self._call("resign", self.worker, patience_s=0)

    def _next_nonce(self) -> str:
        """Tells a claim that is repeated from any other one. A counter: random ones cost a system call."""
        return f"{self._nonce}{next(self._claims)}"

    def _call(self, function: str, *args: Argument, patience_s: float = _PATIENCE_S) -> Any:
        return through_outage(lambda: self._functions.call(function, *args), patience_s=patience_s)


def given_up(max_attempts: int) -> bytes:
    """The error (JSON) of an execution whose last attempt was lost."""
    return orjson.dumps(f"The worker running this execution was lost {max_attempts} times; it was given up.")


def _flattened(pairs: Iterable[tuple[str, int]]) -> Iterator[Argument]:
    """One argument after the other."""
    return chain.from_iterable(pairs)


def _progress(
    claim: Claim,
    number: int,
    stage: str | None,
    stages_completed: int,
    detail: bytes,
    figures: bytes,
    told: Told,
) -> tuple[Argument, ...]:
    place = (number, orjson.dumps(stage), stages_completed)
    return (claim.execution_id, claim.epoch, *place, detail, figures, *_arguments(told))


def _arguments(told: Told) -> list[Argument]:
    """As the functions take it: nothing, or the first number, type, members …"""
    if not told.events:
        return []
    return [told.first, *(part for event in told.events for part in (event.type, event.members))]


def _evaluated(evaluation: Evaluation | None) -> list[Argument]:
    """As finish takes it; nothing for what evaluates no alert."""
    if evaluation is None:
        return []
    return [
        evaluation.finding,
        int(evaluation.holds),
        evaluation.kind,
        evaluation.source,
        evaluation.cooldown_s * 1000,
        "" if evaluation.renotify_s is None else evaluation.renotify_s * 1000,
        evaluation.payload,
        evaluation.mark,
        *_flattened(evaluation.lanes),
    ]


def _claim(reply: Sequence[bytes]) -> Claim | None:
    if not reply or text(reply[0]) != "claimed":
        return None
    _, execution_id, epoch, attempt, spent_ms, retriever_id, version, namespace_id, *more = reply
    request, definition, retries, waited_ms, followed, alert = more
    return Claim(
        text(execution_id),
        int(epoch),
        int(attempt),
        int(spent_ms),
        text(retriever_id),
        int(version),
        text(namespace_id),
        ExecutionRequest.from_json(request),
        definition,
        int(retries),
        int(waited_ms),
        followed == b"1",
        AlertRun.from_json(alert) if alert else None,
    )
