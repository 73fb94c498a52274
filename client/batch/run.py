"""The run of a batch: each line that is not finished is submitted, waited for, written and recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

from client.batch.state import BatchState, Finished
from client.bounded import bounded_map
from client.errors import ApiError, ExecutionFailed, Gone, InvalidInput, TooLarge, WaitTimeout
from client.kennel import Kennel
from client.models import Resource
from client.records import Record, Source

REFUSED = "refused"
UNFINISHED = "unfinished"
_TEXT_TYPES = frozenset(("string", "text", "date", "datetime"))


@dataclass(slots=True)
class Tally:
    """How many lines of the input went which way, so far."""

    earlier: int = 0  # finished by an earlier run
    failed_earlier: int = 0
    completed: int = 0
    failed: int = 0  # refused, failed or cancelled
    unfinished: int = 0  # not ended in time; the next run goes on with them

    @property
    def finished(self) -> int:
        return self.earlier + self.failed_earlier + self.completed + self.failed


@dataclass(frozen=True, slots=True)
class Batch:
    """What is run, and how."""

    source: Source
    retriever: Resource
    options: Mapping[str, Any]  # of every submission
    concurrency: int
    timeout_s: float  # of each line


@dataclass(frozen=True, slots=True)
class _Line:
    """One submission that is still to be made."""

    number: int
    content: str  # digest of the body
    body: Mapping[str, Any]
    key: str  # the same for the same line, however often it is sent
    problem: str | None


@dataclass(frozen=True, slots=True)
class _Result:
    line: _Line
    status: str
    execution: Mapping[str, Any] | None
    error: Mapping[str, Any] | None

    @property
    def is_failed(self) -> bool:
        return self.error is not None

    def as_json(self) -> bytes:
        return (
            orjson.dumps(
                {
                    "line": self.line.number,
                    "status": self.status,
                    "execution": self.execution,
                    "error": self.error,
                }
            )
            + b"\n"
        )


def run_batch(
    kennel: Kennel,
    batch: Batch,
    state: BatchState,
    results: BinaryIO,
    tally: Tally,
    report: Callable[[], None],
) -> None:
    """Run all lines that the state does not know as finished.

    Args:
        results: Where results are appended: a JSON object a line, in the order in which they end.
        tally: Is kept up to date.
        report: Called when the tally has changed.

    Raises:
        KennelError: the batch cannot go on: no answer, no permission, the retriever is gone.
    """

    def remaining() -> Iterator[_Line]:
        for line in _lines(batch, state):
            if state.is_finished(line.number, line.content):
                has_failed = state.failures(line.number) > 0
                tally.failed_earlier += has_failed
                tally.earlier += not has_failed
                report()
            else:
                yield line

    def run_one(line: _Line) -> _Result:
        return _run_line(kennel, batch, line)

    for result in bounded_map(run_one, remaining(), concurrency=batch.concurrency, ordered=False):
        if result.status == UNFINISHED:
            tally.unfinished += 1
        else:
            _keep(result, state, results)
            tally.failed += result.is_failed
            tally.completed += not result.is_failed
        report()


def text_inputs(retriever: Resource) -> frozenset[str]:
    """Names of the inputs that are text: a cell of a CSV file stays what it is for them."""
    schema = retriever.raw.get("input_schema") or {}
    return frozenset(name for name, field in schema.items() if field.get("type") in _TEXT_TYPES)


def _lines(batch: Batch, state: BatchState) -> Iterator[_Line]:
    for record in batch.source.records(text_inputs(batch.retriever)):
        body = _body(record, batch.options)
        digested = orjson.dumps([body, record.problem], option=orjson.OPT_SORT_KEYS)
        content = hashlib.sha256(digested).hexdigest()[:16]
        key = f"{state.identity.batch_id}-{record.number}-{content}-{state.failures(record.number)}"
        yield _Line(record.number, content, body, key, record.problem)


def _body(record: Record, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """A line with an object `inputs` is a whole body of `execute`, any other is the inputs."""
    values = record.values
    return {**options, **(values if isinstance(values.get("inputs"), dict) else {"inputs": values})}


def _run_line(kennel: Kennel, batch: Batch, line: _Line) -> _Result:
    if line.problem is not None:
        return _Result(line, REFUSED, None, {"message": line.problem})
    retriever_id = batch.retriever.resource_id
    try:
        execution = kennel.run_body(
            retriever_id, line.body, timeout_s=batch.timeout_s, idempotency_key=line.key
        )
    except ExecutionFailed as failed:
        execution = failed.execution
        return _Result(line, execution.status, execution.raw, {"message": execution.error or str(failed)})
    except WaitTimeout:
        return _Result(line, UNFINISHED, None, None)
    except (InvalidInput, TooLarge, Gone) as refusal:
        return _Result(line, REFUSED, None, _refusal(refusal))
    return _Result(line, execution.status, execution.raw, None)


def _refusal(error: ApiError) -> Mapping[str, Any]:
    facts = {"message": error.message, "status": error.status, "code": error.code}
    return {**facts, "details": error.details}


def _keep(result: _Result, state: BatchState, results: BinaryIO) -> None:
    """The result first, then the note that it is there: a kill between them repeats it, and loses nothing."""
    raw = result.as_json()
    results.write(raw)
    results.flush()
    execution_id = result.execution["execution_id"] if result.execution else None
    state.record(
        Finished(
            line=result.line.number,
            content=result.line.content,
            status=result.status,
            is_failed=result.is_failed,
            execution_id=execution_id,
            results_end=state.results_end + len(raw),
        )
    )
