"""Where a run stands between two stages, so that a later attempt goes on there."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import orjson

from shared.filters import SortKey
from shared.models.document import Document
from shared.models.execution import Claim
from workers.execution.books import Books, StageEntry
from workers.execution.definition import Definition
from workers.execution.rendering import Rendering

STATE_MAX_BYTES = 4_000_000  # packed; what is larger is run again after a crash
_LEVEL = 1
_FORMAT = b"2"  # of the state: another one is not read
_COUNTED = ("input_count", "output_count", "duration_ms", "credits", "error", "metadata")
_WRITTEN = ("warnings", "relaxations", "degraded")


@dataclass(frozen=True, slots=True)
class Standing:
    """What the stages so far left to the next one."""

    finished: int  # index of the last stage that ended
    documents: Sequence[Document]
    order: Sequence[SortKey] | None
    searched_feature: str | None


class Checkpoints:
    """Writes and reads the state of one run. Nothing here talks to Redis."""

    def __init__(self, claim: Claim, definition: Definition, books: Books, rendering: Rendering) -> None:
        self._definition = definition
        self._books = books
        self._rendering = rendering
        self._claim = claim

    def state(self, standing: Standing) -> Callable[[], bytes]:
        """What makes the state, as it is now, whenever that is called and by whichever thread.

        Raises (when it is called):
            TypeError: a stage attached what JSON cannot hold.
        """
        outputs = self._read_later(standing.finished)
        entries = list(self._books.entries)
        books = {name: list(getattr(self._books, name)) for name in _WRITTEN}

        def packed() -> bytes:
            table = _Table()
            body = {
                "hash": input_hash(self._claim),
                "finished": standing.finished,
                "documents": table.places(standing.documents),
                "order": None if standing.order is None else [_values(key) for key in standing.order],
                "searched_feature": standing.searched_feature,
                "outputs": {name: table.places(documents) for name, documents in outputs},
                "entries": [_entry(entry) for entry in entries],
                "books": books,
                "table": table.rows,
            }
            return zlib.compress(orjson.dumps(body), _LEVEL)

        return packed

    def restore(self, state: bytes) -> Standing | None:
        """The standing, books and outputs as they were; None: it is of other inputs, or unreadable."""
        try:
            body = orjson.loads(zlib.decompress(state))
        except (zlib.error, orjson.JSONDecodeError):
            return None
        if body.get("hash") != input_hash(self._claim):
            return None
        documents = [_document(*row) for row in body["table"]]
        stages = self._definition.stages
        for name, value in body["books"].items():
            setattr(self._books, name, value)
        for index, counted in body["entries"]:
            self._books.restore(StageEntry(stages[index]), dict(zip(_COUNTED, counted, strict=True)))
        by_name = {planned.name: planned for planned in stages}
        for name, places in body["outputs"].items():
            self._rendering.remember(by_name[name], [documents[place] for place in places])
        return Standing(
            body["finished"],
            [documents[place] for place in body["documents"]],
            None if body["order"] is None else [SortKey(*values) for values in body["order"]],
            body["searched_feature"],
        )

    def _read_later(self, finished: int) -> Sequence[tuple[str, Sequence[Document]]]:
        """What stages returned, if one that is still to run reads it."""
        later = self._definition.stages[finished + 1 :]
        return list(self._rendering.outputs.items()) if any(each.reads_stages for each in later) else []


def input_hash(claim: Claim) -> str:
    """Of all that decides what the stages do: their definition, and what the submit asked for."""
    parts = (
        _FORMAT,
        claim.retriever_id.encode(),
        str(claim.version).encode(),
        claim.definition,
        claim.request.to_json(),
    )
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


class _Table:
    """Documents, each once, however many stages returned it."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._places: dict[int, int] = {}

    def places(self, documents: Sequence[Document]) -> list[int]:
        found = []
        for document in documents:
            place = self._places.setdefault(id(document), len(self.rows))
            if place == len(self.rows):
                self.rows.append(_row(document))
            found.append(place)
        return found


def _row(document: Document) -> list[Any]:
    payload = orjson.Fragment(document.raw) if document.raw is not None else document.payload
    return [document.document_id, document.collection_id, document.score, document.attached, payload]


def _document(
    document_id: str,
    collection_id: str,
    score: float | None,
    attached: Mapping[str, Any],
    payload: Mapping[str, Any],
) -> Document:
    return Document(document_id, collection_id, payload=payload, score=score, attached=attached)


def _entry(entry: StageEntry) -> tuple[int, list[Any]]:
    return entry.planned.index, [getattr(entry, name) for name in _COUNTED]


def _values(key: SortKey) -> list[Any]:
    return [getattr(key, each.name) for each in fields(key)]
