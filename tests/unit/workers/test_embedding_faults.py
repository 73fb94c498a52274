"""What a worker does when texts cannot be embedded: none is lost, none holds up others, nobody spins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from redis.exceptions import ConnectionError

from shared.documents import Backlog, CollectionRef, DocumentStore, DocumentWrite, TextEmbedding
from shared.documents.sqlite.store import SqliteDocumentStore
from shared.errors import EmbeddingRefused, EmbeddingUnusable, InvalidInput, KennelError, Unavailable
from shared.models.execution import ExecutionRequest
from workers import collection_work
from workers.collection_work import run_work
from workers.embedding import EmbeddingWorker, ExecutionEmbeddings

REF = CollectionRef("ns_test", "col_faults")
MODEL = "tiny"


class Model:
    """Gives the length of a text, or fails where it is told to."""

    def __init__(
        self, fail: Callable[[Sequence[str]], None] = lambda texts: None, dimensions: int = 1
    ) -> None:
        self._fail = fail
        self._dimensions = dimensions
        self.asked = 0
        self.batches: list[int] = []

    def embed_documents(self, model: str, texts: Sequence[str]) -> NDArray[Any]:
        self.batches.append(len(texts))
        self._fail(texts)
        return np.array([[float(len(text))] * self._dimensions for text in texts])

    def embed_query(self, model: str, text: str, task: str = "retrieval_query") -> NDArray[Any]:
        self.asked += 1
        return np.array([float(len(text))])


class Turns:
    """What Redis is told, in order."""

    def __init__(self, *, away: bool = False) -> None:
        self.told: list[str] = []
        self._away = away

    def _tell(self, word: str) -> None:
        if self._away:
            raise ConnectionError("refused")
        self.told.append(word)

    def mark(self, ref: CollectionRef, *, later_ms: int = 0) -> None:
        self._tell("later" if later_ms else "mark")

    def done(self, ref: CollectionRef) -> None:
        self._tell("done")

    def want(self, ref: CollectionRef) -> None:
        self._tell("want")


@pytest.fixture
def store(tmp_path: Path) -> DocumentStore:
    store = SqliteDocumentStore(tmp_path)
    store.create_collection(REF, TextEmbedding(MODEL, 1))
    return store


def write(store: DocumentStore, *texts: str) -> None:
    store.upsert(REF, [DocumentWrite(f"doc_{text}", {"text": text}) for text in texts])


def failing(error: KennelError, text: str = "") -> Callable[[Sequence[str]], None]:
    """Raises where one of the texts holds `text`."""

    def fail(texts: Sequence[str]) -> None:
        if any(text in each for each in texts):
            raise error

    return fail


def run(store: DocumentStore, model: Model, *, away: bool = False) -> list[str]:
    turns: Any = Turns(away=away)
    run_work(EmbeddingWorker(store, model), turns, REF, lambda: False)
    told: list[str] = turns.told
    return told


def waiting(store: DocumentStore) -> tuple[int, int]:
    backlog = store.backlog(REF)
    return backlog.count, backlog.failed


def test_a_model_that_is_away_postpones_the_texts_and_says_so(store: DocumentStore) -> None:
    write(store, "a", "b")
    worker = EmbeddingWorker(store, Model(failing(Unavailable("the model is away"))))
    with pytest.raises(Unavailable, match="the model is away"):
        worker.do_batch(REF)
    assert waiting(store) == (2, 2)
    write(store, "c")
    assert run(store, Model(failing(Unavailable("the model is away")))) == ["mark", "later"]
    assert waiting(store) == (3, 3)


@pytest.mark.parametrize(
    "model",
    [Model(failing(InvalidInput.at(["model"], "'tiny' is no embedding model here"))), Model(dimensions=2)],
    ids=["gone", "other dimensions"],
)
def test_a_model_that_the_settings_no_longer_have_postpones_the_texts(
    store: DocumentStore, model: Model
) -> None:
    write(store, "a", "b")
    assert run(store, model) == ["mark", "mark", "done"]
    assert waiting(store) == (2, 2)


def test_new_texts_wake_a_worker_while_a_refused_one_waits(store: DocumentStore) -> None:
    """Without a mark: what is marked counts as being worked on, so a write would tell nobody."""
    write(store, "bad", "good")
    assert run(store, Model(failing(EmbeddingRefused("too long"), "bad"))) == ["mark", "mark", "done"]
    assert waiting(store) == (1, 1)


def test_an_endpoint_that_refuses_everybody_is_asked_once_for_all(store: DocumentStore) -> None:
    write(store, "a", "b", "c", "d")
    model = Model(failing(EmbeddingUnusable("answers 401: check the key")))
    assert run(store, model) == ["mark", "mark", "done"]
    assert (model.batches, waiting(store)) == ([4], (4, 4))


def test_whoever_finds_another_at_it_leaves_the_collection_to_him(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sending another message would keep a thread busy for as long as the other takes."""
    monkeypatch.setattr(collection_work, "_TASK_MAX_S", 0.05)
    write(store, "a")
    with store.embedding_turn(REF):
        assert set(run(store, Model())) == {"mark"}
    assert waiting(store) == (1, 0)


def test_redis_away_loses_no_text(store: DocumentStore) -> None:
    write(store, "a")
    assert run(store, Model(), away=True) == []
    assert store.behind() == [REF]


def test_a_damaged_collection_is_told_and_left_alone(store: DocumentStore, tmp_path: Path) -> None:
    ref = CollectionRef("ns_test", "col_damaged")
    (tmp_path / "ns_test" / "col_damaged.db").write_bytes(b"no database" * 100)
    turns: Any = Turns()
    run_work(EmbeddingWorker(store, Model()), turns, ref, lambda: False)
    assert turns.told == ["mark", "done"]


def test_everything_is_embedded_in_the_end(store: DocumentStore) -> None:
    write(store, "a", "bb")
    assert run(store, Model()) == ["mark", "mark", "done"]
    assert store.backlog(REF) == Backlog()
    assert store.get_vectors(REF, ["doc_bb"]) == {"doc_bb": {MODEL: [2.0]}}


def test_one_question_is_embedded_once_in_an_execution(store: DocumentStore) -> None:
    model = Model()
    request = ExecutionRequest({}, [REF.collection_id])
    embeddings = ExecutionEmbeddings(request, store, model, EmbeddingWorker(store, model))
    for text in ("why", "why", "", "", "why not"):
        assert embeddings.embed_query(MODEL, text, "none") == ([float(len(text))] if text else None)
    assert model.asked == 3
