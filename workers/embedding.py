"""Embedding the texts that wait: batch by batch, by one process at a time for each collection."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from shared import clock
from shared.documents import Backlog, CollectionRef, DocumentStore, PendingText, TextEmbedding
from shared.documents.write_token import read_write_token
from shared.errors import (
    EmbeddingRefused,
    EmbeddingUnusable,
    InvalidInput,
    KennelError,
    StageError,
    TransientError,
    Unavailable,
)
from shared.logs import log_event
from shared.models.execution import ExecutionRequest

log = logging.getLogger("kennel.embedding")

BATCH = 256
_PAUSE_S = 0.01
_RETRY_MS = 2_000
_RETRY_MAX_MS = 300_000


class Embedder(Protocol):
    """shared/embeddings/embedder.py"""

    def embed_documents(self, model: str, texts: Sequence[str]) -> NDArray[Any]: ...

    def embed_query(self, model: str, text: str, task: str = "retrieval_query") -> NDArray[Any]: ...


class EmbeddingWorker:
    """Makes the vectors of a collection's texts. Safe to share between threads."""

    def __init__(self, store: DocumentStore, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder

    def do_batch(self, ref: CollectionRef) -> int | None:
        """Embed the oldest texts that are due.

        Returns:
            How many there were, 0 when none is due; None when another process is at it.

        Raises:
            NotFound: the collection is gone. Unavailable: the model is away; its texts are postponed.
        """
        with self._store.embedding_turn(ref) as mine:
            if not mine:
                return None
            texts = self._store.pending_texts(ref, BATCH, now_ms=clock.now_ms())
            embedding = self._store.shape(ref).embedding
            if texts and embedding:
                self._embed(ref, embedding, texts)
            return len(texts)

    def is_left(self, ref: CollectionRef) -> bool:
        """Whether there are texts that are not known to be refused; those are not due before the sweep."""
        backlog = self._store.backlog(ref)
        return backlog.count != backlog.failed

    def _embed(self, ref: CollectionRef, embedding: TextEmbedding, texts: Sequence[PendingText]) -> None:
        try:
            vectors = self._vectors(embedding, texts)
        except Unavailable:
            self._postpone(ref, texts)
            raise
        except (EmbeddingUnusable, InvalidInput) as error:  # of the model, so of all texts
            self._refused(ref, texts, error)
        except EmbeddingRefused as error:
            self._separate(ref, embedding, texts, error)
        else:
            self._store.store_embeddings(ref, list(zip(texts, vectors.tolist(), strict=True)))

    def _vectors(self, embedding: TextEmbedding, texts: Sequence[PendingText]) -> NDArray[Any]:
        """Raises InvalidInput where the settings no longer have the model as it was."""
        vectors = self._embedder.embed_documents(embedding.model, [text.text for text in texts])
        dimensions = vectors.shape[1]
        if dimensions != embedding.dimensions:
            raise InvalidInput(
                f"the model {embedding.model!r} gives {dimensions} dimensions now, the collection was made "
                f"with {embedding.dimensions}: restore its settings, or make a new collection"
            )
        return vectors

    def _separate(
        self,
        ref: CollectionRef,
        embedding: TextEmbedding,
        texts: Sequence[PendingText],
        error: EmbeddingRefused,
    ) -> None:
        """One text may be what was refused: the others must not wait for it."""
        if len(texts) == 1:
            self._refused(ref, texts, error)
            return
        middle = len(texts) // 2
        self._embed(ref, embedding, texts[:middle])
        self._embed(ref, embedding, texts[middle:])

    def _refused(self, ref: CollectionRef, texts: Sequence[PendingText], error: KennelError) -> None:
        log_event(log, "embedding.refused", level=logging.WARNING, error=error.message,
                  collection_id=ref.collection_id)  # fmt: skip
        self._postpone(ref, texts)

    def _postpone(self, ref: CollectionRef, texts: Sequence[PendingText]) -> None:
        pause_ms = min(_RETRY_MAX_MS, _RETRY_MS * 2 ** min(max(text.failures for text in texts), 10))
        self._store.postpone(ref, texts, until_ms=clock.now_ms() + pause_ms)


class ExecutionEmbeddings:
    """Embeddings for the stages of one execution (workers/context.py), as fresh as it asked for.

    Whoever waits for the vectors of a text makes them himself if nobody else does, so no search waits for
    a free worker.
    """

    def __init__(
        self,
        request: ExecutionRequest,
        store: DocumentStore,
        embedder: Embedder,
        worker: EmbeddingWorker,
    ) -> None:
        """Raises InvalidInput for a write token that is none."""
        self._store = store
        self._embedder = embedder
        self._worker = worker
        consistency: Mapping[str, Any] = request.consistency or {}
        self._strong = consistency.get("mode") == "strong"
        self._max_staleness_ms: int | None = consistency.get("max_staleness_ms")
        self._written = read_write_token(request.write_token) if request.write_token else None
        # By model, text and task: one question goes to many collections.
        self._vectors: dict[tuple[str, str, str], list[float]] = {}

    def embed_query(self, model: str, text: str, task: str) -> list[float] | None:
        asked = (model, text, task)
        if asked not in self._vectors:
            self._vectors[asked] = self._embedder.embed_query(model, text, task).tolist()
        vector = self._vectors[asked]
        return vector if any(vector) else None

    def wait_for(self, ref: CollectionRef, check: Callable[[], None]) -> None:
        last_seq = self._seq_to_see(ref)
        pause = threading.Event()
        while (backlog := self._store.backlog(ref)).oldest_seq is not None and backlog.oldest_seq <= last_seq:
            check()
            count = self._do_batch(ref)
            if count is None:
                pause.wait(_PAUSE_S)
            elif count == 0 and (failed := self._store.backlog(ref).failed):
                raise StageError(
                    f"{failed} texts of collection {ref.collection_id} could not be embedded yet, "
                    "and the execution asked to see them; try again later, or without consistency"
                )

    def _do_batch(self, ref: CollectionRef) -> int | None:
        try:
            return self._worker.do_batch(ref)
        except Unavailable as error:
            raise TransientError(
                f"texts that the execution asked to see are not embedded: {error.message}",
                details=error.details,
            ) from error

    def _seq_to_see(self, ref: CollectionRef) -> int:
        """The last write of the collection whose vectors must be there; 0 = none."""
        wanted = 0
        if self._written is not None and self._written[0] == ref.collection_id:
            wanted = self._written[1]
        if not self._strong and self._max_staleness_ms is None:
            return wanted
        backlog: Backlog = self._store.backlog(ref)
        if backlog.oldest_at_ms is None or backlog.newest_seq is None:
            return wanted
        if self._strong or clock.now_ms() - backlog.oldest_at_ms > (self._max_staleness_ms or 0):
            return max(wanted, backlog.newest_seq)
        return wanted
