"""A document on its way through a pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

# Members that every result has; nothing may be attached under these names.
RESULT_MEMBERS = frozenset({"document_id", "collection_id", "score", "payload"})

# One for all documents: a dict for each would take a quarter longer (measured).
_NOTHING: Mapping[str, Any] = {}


class Document:
    """One stored document, its score, and what stages attached to it. Treat as immutable.

    The stored JSON is kept as bytes and parsed only when a stage looks inside: a document that is
    only found, filtered by the engine and returned is never parsed at all.
    """

    __slots__ = ("_payload", "attached", "collection_id", "document_id", "raw", "score")

    def __init__(
        self,
        document_id: str,
        collection_id: str,
        raw: bytes | None = None,
        *,
        payload: Mapping[str, Any] | None = None,
        score: float | None = None,
        attached: Mapping[str, Any] = _NOTHING,
    ) -> None:
        self.document_id = document_id
        self.collection_id = collection_id
        self.raw = raw
        self._payload = payload
        self.score = score
        self.attached = attached

    @classmethod
    def from_rows(cls, collection_id: str, rows: Iterable[tuple[str, bytes]]) -> list[Document]:
        """Documents of (id, JSON). Without `__init__` they take two thirds of the time (measured)."""
        new = cls.__new__
        documents = []
        for document_id, raw in rows:
            document = new(cls)
            document.document_id = document_id
            document.collection_id = collection_id
            document.raw = raw
            document._payload = None
            document.score = None
            document.attached = _NOTHING
            documents.append(document)
        return documents

    @property
    def payload(self) -> Mapping[str, Any]:
        """The full stored document: ids, user fields at the root, system data under `_internal`."""
        if self._payload is None:
            self._payload = orjson.loads(self.raw or b"{}")
        return self._payload

    def with_score(self, score: float) -> Document:
        return Document(
            self.document_id,
            self.collection_id,
            self.raw,
            payload=self._payload,
            score=score,
            attached=self.attached,
        )

    def with_attached(self, **fields: Any) -> Document:
        """A copy with fields added at the root of the result, beside `payload`."""
        return Document(
            self.document_id,
            self.collection_id,
            self.raw,
            payload=self._payload,
            score=self.score,
            attached={**self.attached, **fields},
        )

    def with_attached_at(self, path: str, value: Any) -> Document:
        """A copy with one field added at a dotted path: "scores.mmr" -> {"scores": {"mmr": value}}.

        What was attached beside it stays; what is on the way and no object is replaced by one.
        """
        first, _, rest = path.partition(".")
        return self.with_attached(**{first: _placed(self.attached.get(first), rest, value)})

    def result(self) -> dict[str, Any]:
        """The shape of an execution's result document; serialise with `orjson.dumps`."""
        body: dict[str, Any] = {
            "document_id": self.document_id,
            "collection_id": self.collection_id,
            "score": self.score if self.score is not None else 0.0,
            "payload": orjson.Fragment(self.raw) if self.raw is not None else self._payload,
        }
        body.update(self.attached)
        return body

    def fields(self) -> dict[str, Any]:
        """What a template sees: stored fields, and over them ids, score, attached fields, `payload`."""
        return {**self.payload, **self.root(), "payload": self.payload}

    def root(self) -> dict[str, Any]:
        """What a field path is looked up in before the payload: ids, score, attached fields."""
        return {
            "document_id": self.document_id,
            "collection_id": self.collection_id,
            "score": self.score,
            **self.attached,
        }


def _placed(present: Any, path: str, value: Any) -> Any:
    """What stands where `present` was, once `value` is at `path` inside of it."""
    if not path:
        return value
    first, _, rest = path.partition(".")
    fields = present if isinstance(present, Mapping) else {}
    return {**fields, first: _placed(fields.get(first), rest, value)}
