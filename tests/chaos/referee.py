"""Compares what was promised with what is there and with the ledger outside of Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.evidence import Evidence
from tests.chaos.ledger import START, Entry
from tests.chaos.load import sight_of
from tests.chaos.plan import STAGE_NAMES, STAGES


@dataclass(frozen=True)
class Verdict:
    """What the referee found. Each fault is a sentence that names its execution, document or batch."""

    statuses: Mapping[str, int]
    lost: Sequence[str]  # accepted, and without an end
    doubled: Sequence[str]  # two ends, or a result that is not of the attempt which the record names
    repeated: Sequence[str]  # a stage that ran again although its checkpoint was stored
    missing: Sequence[str]  # documents and counts
    crashes: Sequence[str]
    stages_run_again: int  # without a checkpoint; allowed, and told

    @property
    def faults(self) -> list[str]:
        return [*self.lost, *self.doubled, *self.repeated, *self.missing, *self.crashes]


def judge(evidence: Evidence) -> Verdict:
    ends = {execution_id: sight_of(dict(answer)) for execution_id, answer in evidence.answers.items()}
    return Verdict(
        statuses=Counter(end.status if end else "open" for end in ends.values()),
        lost=[f"{execution_id} has not ended" for execution_id, end in ends.items() if end is None],
        doubled=[*evidence.acknowledged.contradictions, *_doubled(evidence)],
        repeated=[
            f"{execution_id}: stage {index} ran again after its checkpoint"
            for execution_id, answer in evidence.answers.items()
            for index in repeated_stages(answer, evidence.ledger.get(execution_id, ()))
        ],
        missing=[*_missing_documents(evidence), *_wrong_counts(evidence)],
        crashes=evidence.crashes,
        stages_run_again=sum(_run_again(entries) for entries in evidence.ledger.values()),
    )


def _doubled(evidence: Evidence) -> Iterator[str]:
    for execution_id, answer in evidence.answers.items():
        end, first = sight_of(dict(answer)), evidence.first_sights.get(execution_id)
        if first is not None and end != first:
            yield f"{execution_id} was seen as {first}, and later as {end}"
        if answer["status"] == "completed":
            yield from _wrong_result(execution_id, answer, evidence.ledger.get(execution_id, ()))


def _wrong_result(execution_id: str, answer: Mapping[str, Any], entries: Sequence[Entry]) -> Iterator[str]:
    """The marks in the result are of each stage once, the last of the attempt that the record names."""
    marks = [tuple(mark) for mark in answer["documents"][0]["marks"]]
    if [index for _, index in marks] != list(range(STAGES)):
        yield f"{execution_id}: the result is not of each stage once: {marks}"
    elif marks[-1][0] != answer["attempt"]:
        yield f"{execution_id} ended in attempt {answer['attempt']} with the result of attempt {marks[-1][0]}"
    written = {(entry.attempt, entry.stage_index) for entry in entries if entry.event != START}
    if not written.issuperset(marks):
        yield f"{execution_id}: the ledger does not know of {sorted(set(marks) - written)}"


def repeated_stages(answer: Mapping[str, Any], entries: Sequence[Entry]) -> list[int]:
    """Stages that started although a checkpoint of them was stored.

    `resumed_from_stage` of a record names the stage at which its newest attempt went on, so a checkpoint of
    the stages before it was stored when that attempt began; null: there was none.
    """
    name = answer["resumed_from_stage"]
    resumed_from = STAGE_NAMES.index(name) if name else 0
    began_at_s = min((e.at_s for e in entries if e.attempt == answer["attempt"]), default=float("inf"))
    return [
        e.stage_index
        for e in entries
        if e.event == START and e.stage_index < resumed_from and e.at_s >= began_at_s
    ]


def _run_again(entries: Sequence[Entry]) -> int:
    starts = Counter(entry.stage_index for entry in entries if entry.event == START)
    return sum(count - 1 for count in starts.values())


def _missing_documents(evidence: Evidence) -> Iterator[str]:
    for document_id in sorted(evidence.acknowledged.documents):
        if document_id not in evidence.documents:
            yield f"document {document_id} was stored and is not there"
        elif not evidence.documents[document_id]:
            yield f"document {document_id} was never embedded"


def _wrong_counts(evidence: Evidence) -> Iterator[str]:
    for batch_id, lines in evidence.acknowledged.batches.items():
        batch = evidence.batches[batch_id]
        if not batch["submitted"] == batch["finished"] == sum(batch["counts"].values()) == lines:
            yield f"batch {batch_id} of {lines} lines counts {batch['counts']}"
    expected = len(evidence.acknowledged.executions) + sum(evidence.acknowledged.batches.values())
    if not len(evidence.answers) == evidence.listed == expected:
        yield (
            f"{expected} executions were accepted, {len(evidence.answers)} can be read, "
            f"{evidence.listed} are in the history"
        )
