"""The load: a steady stream of submissions, document writes and batches, and what the API said about each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.chaos.door import Door, Unanswered
from tests.chaos.plan import STAGE_NAMES, STAGES, Work, work

NAMESPACE, MARKS, NOTES, RETRIEVER = "chaos", "marks", "notes", "steps"
_SUBMITTERS = 16
_DOCUMENT_EVERY, _BATCH_EVERY, _BATCH_LINES = 5, 100, 20
_WATCH_EVERY_S = 0.25
_TERMINAL = frozenset({"completed", "degraded", "failed", "cancelled"})


@dataclass(frozen=True)
class Sight:
    """A terminal state as it was seen."""

    status: str
    completed_at: str
    attempt: int


def sight_of(answer: dict[str, Any]) -> Sight | None:
    """None while the execution has not ended."""
    if answer["status"] not in _TERMINAL:
        return None
    return Sight(answer["status"], answer["completed_at"], answer["attempt"])


@dataclass
class Acknowledged:
    """What the API said yes to. Only grows."""

    executions: dict[str, float] = field(default_factory=dict)  # id -> when (s since the epoch)
    documents: set[str] = field(default_factory=set)
    batches: dict[str, int] = field(default_factory=dict)  # id -> lines
    contradictions: list[str] = field(default_factory=list)  # two answers that cannot both be true


class Load:
    """Starts with `start`, ends with `stop`; the watcher goes on until `stop_watching`."""

    def __init__(self, door: Door, seed: int, rate_per_s: float) -> None:
        self._door = door
        self._seed = seed
        self._interval_s = 1 / rate_per_s
        self.acknowledged = Acknowledged()
        self.first_sights: dict[str, Sight] = {}
        self._open: set[str] = set()
        self._lock = threading.Lock()
        self._next_at = time.monotonic()
        self._number = 0
        self._stopped = threading.Event()
        self._watched = threading.Event()
        self._pool = ThreadPoolExecutor(_SUBMITTERS, thread_name_prefix="load")
        self._watcher = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._errors: list[BaseException] = []

    def prepare(self) -> None:
        """Namespace, collections and retriever, before anything is struck."""
        door = self._door
        door.post("/namespaces", {"namespace_name": NAMESPACE})
        embedded = {
            "feature_extractor_name": "text_extractor",
            "version": "v1",
            "input_mappings": {"text": ["text"]},
        }
        door.post("/collections", {"collection_name": MARKS})
        door.post("/collections", {"collection_name": NOTES, "feature_extractor": embedded})
        self._write(MARKS, "doc_mark", "what the stages mark")
        door.post("/retrievers", _retriever())

    def start_watching(self) -> None:
        self._watcher.start()

    def start(self) -> None:
        self.start_watching()
        for _ in range(_SUBMITTERS):
            self._pool.submit(self._guarded, self._submit_until_stopped)

    def stop(self) -> None:
        """Returns when every submission has been settled. Raises what went wrong in a thread."""
        self._stopped.set()
        self._pool.shutdown()
        if self._errors:
            raise self._errors[0]

    def stop_watching(self) -> None:
        self._watched.set()
        self._watcher.join()

    def in_flight(self) -> set[str]:
        """Accepted, and not yet seen to have ended."""
        with self._lock:
            return set(self._open)

    def accepted_since(self, at_s: float) -> str | None:
        """An execution acknowledged after that time (s since the epoch), if there is one."""
        with self._lock:
            newest = next(reversed(self.acknowledged.executions.items()), None)
        return newest[0] if newest and newest[1] > at_s else None

    # Submitting

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except Unanswered as error:
            if not self._stopped.is_set():
                self._errors.append(error)
        except BaseException as error:
            self._errors.append(error)

    def _submit_until_stopped(self) -> None:
        while not self._stopped.is_set():
            with self._lock:
                self._number += 1
                number = self._number
                self._next_at = max(self._next_at + self._interval_s, time.monotonic())
                wait_s = self._next_at - time.monotonic()
            if not self._stopped.wait(wait_s):
                self.submit(work(self._seed, number))
                self._extras(number)

    def submit(self, wanted: Work) -> str:
        """The id of the execution, once it is acknowledged; with its own key, however often it is sent."""
        headers = {"Idempotency-Key": f"work-{wanted.number}"}
        seen = self._door.post(
            f"/retrievers/{RETRIEVER}/execute", {"inputs": inputs(wanted)}, headers=headers
        )
        execution_id: str = seen["execution_id"]
        with self._lock:
            if execution_id in self.acknowledged.executions:
                self.acknowledged.contradictions.append(f"two keys were answered with {execution_id}")
            self.acknowledged.executions[execution_id] = time.time()
            self._open.add(execution_id)
        if wanted.is_cancelled:
            self._door.post(f"/retrievers/{RETRIEVER}/executions/{execution_id}/cancel", {})
        return execution_id

    def _extras(self, number: int) -> None:
        if number % _DOCUMENT_EVERY == 0:
            self._write(NOTES, f"doc_{number}", f"note number {number} about trains")
            self.acknowledged.documents.add(f"doc_{number}")
        if number % _BATCH_EVERY == 0:
            self._upload(number)

    def _write(self, collection: str, document_id: str, text: str) -> None:
        document = {"document_id": document_id, "payload": {"text": text}}
        body = {"collection_id": collection, "documents": [document]}
        self._door.post(f"/namespaces/{NAMESPACE}/documents/upsert", body)

    def _upload(self, number: int) -> None:
        """A batch of short executions, with its own key."""
        body = b"\n".join(orjson.dumps({"inputs": {}}) for _ in range(_BATCH_LINES))
        answer = self._door.ask(
            "POST",
            f"/batches?retriever={RETRIEVER}",
            content=body,
            headers={"Idempotency-Key": f"batch-{number}"},
        )
        assert answer.status_code == 200, answer.text
        seen = answer.json()
        assert seen["accepted"] + seen["replayed"] == _BATCH_LINES, answer.text
        self.acknowledged.batches[seen["batch_id"]] = _BATCH_LINES

    # Watching

    def _watch(self) -> None:
        while not self._watched.wait(_WATCH_EVERY_S):
            for execution_id in self.in_flight():
                try:
                    seen = sight_of(read(self._door, execution_id))
                except Unanswered:
                    return
                if seen is not None:
                    self.first_sights[execution_id] = seen
                    with self._lock:
                        self._open.discard(execution_id)


def read(door: Door, execution_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = door.get(f"/retrievers/{RETRIEVER}/executions/{execution_id}")
    return answer


def inputs(wanted: Work) -> dict[str, Any]:
    lengths = {f"ms_{index}": duration_ms for index, duration_ms in enumerate(wanted.durations_ms)}
    return {**lengths, "fails": wanted.fails}


def _retriever() -> dict[str, Any]:
    """Stages whose lengths are inputs; the last one fails where its input says so."""
    stages: list[dict[str, Any]] = [
        {
            "stage_name": name,
            "config": {
                "stage_id": "chaos_step",
                "parameters": {"duration_ms": f"{{{{INPUT.ms_{index}}}}}"},
            },
        }
        for index, name in enumerate(STAGE_NAMES)
    ]
    stages[-1]["config"]["parameters"]["fails"] = "{{INPUT.fails}}"
    schema: dict[str, Any] = {
        f"ms_{index}": {"type": "integer", "default": 5, "description": "Length of a stage (ms)."}
        for index in range(STAGES)
    }
    schema["fails"] = {"type": "boolean", "default": False, "description": "Whether the last one fails."}
    return {
        "retriever_name": RETRIEVER,
        "collection_identifiers": [MARKS],
        "input_schema": schema,
        "stages": stages,
    }
