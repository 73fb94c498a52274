"""What is tried again, when, and what a run leaves to its next attempt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents import CollectionRef, DocumentStore, DocumentWrite, TextEmbedding
from shared.errors import (
    EmbeddingRefused,
    InvalidInput,
    LimitExceeded,
    StageError,
    TransientError,
    Unavailable,
)
from shared.models.document import Document
from tests.unit.workers.pipelines import NAMESPACE, NoEmbeddings, PrivateRun, claim, execute, pipeline, stage
from workers.context import StageContext
from workers.execution.retrying import RetryPolicy, as_transient
from workers.lease.run import RetryLater
from workers.stages.base import Stage, StageOutput, StageParameters
from workers.stages.registry import load_all

BOOKS = ["col_books"]
SORT = stage("sort", "sort_attribute", field="year", direction="desc")
CALL = stage("call", "failing")
POLICY = RetryPolicy(retries_max=2, first_ms=100, max_ms=1_000)
REQUEST = httpx.Request("GET", "http://127.0.0.1/")


def answered(status: int, **headers: str) -> httpx.HTTPStatusError:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx.Response(status, headers=sent, request=REQUEST)
    return httpx.HTTPStatusError("secret detail", request=REQUEST, response=response)


class Away(NoEmbeddings):
    """An endpoint that says when to ask again."""

    def embed_query(self, model: str, text: str, task: str) -> list[float] | None:
        raise Unavailable("the embeddings endpoint is away", details={"retry_after_seconds": 0.5})


class Failing(Stage[StageParameters]):
    """Raises what a test gives it."""

    stage_id: ClassVar[str] = "failing"
    category: ClassVar[str] = "apply"
    Parameters = StageParameters
    error: ClassVar[Exception]

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        raise self.error


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> type[Failing]:
    monkeypatch.setitem(load_all(), "failing", Failing)
    monkeypatch.setattr(Failing, "error", answered(503), raising=False)
    return Failing


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (answered(429), "a service answers 429"),
        (answered(500), "a service answers 500"),
        (answered(503), "a service answers 503"),
        (httpx.ConnectError("x"), "a service does not answer (ConnectError)"),
        (httpx.ReadTimeout("x"), "a service does not answer (ReadTimeout)"),
        (httpx.RemoteProtocolError("x"), "a service does not answer (RemoteProtocolError)"),
        (ConnectionResetError("x"), "a service does not answer (ConnectionResetError)"),
        (TimeoutError("x"), "a service does not answer (TimeoutError)"),
        (Unavailable("the endpoint is away"), "the endpoint is away"),
        (LimitExceeded("too many"), "too many"),
        (TransientError("later"), "later"),
    ],
)
def test_what_is_away_for_now_is_tried_again(error: Exception, message: str) -> None:
    transient = as_transient(error)
    assert transient is not None
    assert transient.message == message


@pytest.mark.parametrize(
    "error",
    [
        answered(400), answered(404), httpx.UnsupportedProtocol("x"), StageError("no"), InvalidInput("no"),
        EmbeddingRefused("no"), ZeroDivisionError(), FileNotFoundError(), ValueError(),
    ],
    ids=repr,
)  # fmt: skip
def test_what_would_fail_again_is_not(error: Exception) -> None:
    assert as_transient(error) is None


def test_a_service_says_when() -> None:
    for status in (429, 503):
        transient = as_transient(answered(status, Retry_After="7"))
        assert transient is not None
        assert transient.details == {"retry_after_seconds": 7.0}
    kept = as_transient(Unavailable("x", details={"retry_after_seconds": 3}))
    assert kept is not None
    assert kept.details == {"retry_after_seconds": 3}


@given(
    first_ms=st.integers(1, 60_000),
    more_ms=st.integers(0, 3_000_000),
    retries=st.integers(0, 99),
    asked_s=st.none() | st.floats(0, 86_400),
)
def test_a_wait_grows_to_its_cap_and_is_never_shorter_than_asked_below_it(
    first_ms: int, more_ms: int, retries: int, asked_s: float | None
) -> None:
    max_ms = first_ms + more_ms
    details = {} if asked_s is None else {"retry_after_seconds": asked_s}
    delay_ms = RetryPolicy(100, first_ms, max_ms).delay_ms(retries, TransientError("x", details=details))
    bound_ms = min(first_ms * 2**retries, max_ms)
    asked_ms = (asked_s or 0) * 1000
    assert min(asked_ms + bound_ms / 2, max_ms) <= delay_ms <= min(asked_ms + bound_ms + 1, max_ms)


def test_waits_differ() -> None:
    policy = RetryPolicy(5, 60_000, 60_000)
    assert len({policy.delay_ms(0, TransientError("x")) for _ in range(20)}) > 1


def retried(
    store: DocumentStore, *stages: dict[str, Any], run: PrivateRun
) -> tuple[RetryLater, dict[str, Any]]:
    with pytest.raises(RetryLater) as caught:
        pipeline(store, stages, BOOKS, run=run, retry_policy=POLICY).run()
    detail: dict[str, Any] = orjson.loads(b"{" + caught.value.detail[1:])
    return caught.value, detail


def test_a_transient_error_ends_the_attempt(store: DocumentStore, failing: type[Failing]) -> None:
    run = PrivateRun(claim(BOOKS))
    later, detail = retried(store, SORT, CALL, run=run)
    sentence = "stage 'call' (index 1, failing) failed: a service answers 503"
    assert (later.reason, later.stages_completed) == (sentence, 1)
    assert 50 <= later.delay_ms <= 100
    assert detail["warnings"] == [f"attempt 1: {sentence}; it is tried again"]
    assert list(detail["stage_statistics"]["stages"]) == ["sort"]
    assert detail["stage_statistics"]["credits_used"] == pytest.approx(0.01)
    assert run.saves == 1


def test_the_next_wait_is_longer(store: DocumentStore, failing: type[Failing]) -> None:
    run = PrivateRun(replace(claim(BOOKS), retries=1, attempt=2))
    later, _ = retried(store, CALL, run=run)
    assert 100 <= later.delay_ms <= 200


def test_tries_are_capped_and_the_last_error_is_the_reason(
    store: DocumentStore, failing: type[Failing]
) -> None:
    run = PrivateRun(replace(claim(BOOKS), retries=2, attempt=3))
    seen = execute(store, [SORT, CALL], BOOKS, run=run, retry_policy=POLICY)
    assert seen["status"] == "failed"
    assert seen["error"] == (
        "stage 'call' (index 1, failing) failed: a service answers 503; given up after 3 attempts"
    )
    assert (seen["is_partial"], seen["partial_from_stage"]) == (True, "sort")


def test_without_retries_it_fails_at_once(store: DocumentStore, failing: type[Failing]) -> None:
    seen = execute(store, [CALL], BOOKS)
    assert seen["error"] == "stage 'call' (index 0, failing) failed: a service answers 503"


def test_a_permanent_error_fails_at_once(store: DocumentStore, failing: type[Failing]) -> None:
    failing.error = answered(404)
    seen = execute(store, [CALL], BOOKS, retry_policy=POLICY)
    assert seen["status"] == "failed"
    assert "secret detail" not in seen["error"]


def test_a_stage_that_may_be_skipped_is_skipped_and_not_waited_for(
    store: DocumentStore, failing: type[Failing]
) -> None:
    seen = execute(store, [SORT, {**CALL, "on_error": "skip"}], BOOKS, retry_policy=POLICY)
    assert (seen["status"], seen["degraded"][0]["stage"]) == ("degraded", "call")


def test_a_search_inside_the_engine_is_retried_too(store: DocumentStore) -> None:
    ref = CollectionRef(NAMESPACE, "col_embedded")
    store.create_collection(ref, TextEmbedding("letters", 4))
    store.upsert(ref, [DocumentWrite("doc_1", {"text": "a"})])
    near = {"feature_uri": "letters", "query": {"input_mode": "text", "value": "trains"}}
    search = stage("search", "feature_search", searches=[near])
    with pytest.raises(RetryLater, match="the embeddings endpoint is away") as caught:
        pipeline(store, [search, SORT], ["col_embedded"], embeddings=Away(), retry_policy=POLICY).run()
    assert 550 <= caught.value.delay_ms <= 600
