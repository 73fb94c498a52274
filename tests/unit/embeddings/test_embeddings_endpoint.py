"""The endpoint: what it is asked, what is made of its answers, and of its failures."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import orjson
import pytest

from shared.embeddings.embedder import Embedder
from shared.embeddings.models import TASKS
from shared.embeddings.openai_compatible import CONCURRENT_REQUESTS
from shared.embeddings.retries import MAX_DELAY_S, RETRIES
from shared.errors import EmbeddingRefused, EmbeddingUnusable, KennelError, Unavailable
from tests.servers import free_port
from tests.unit.embeddings.conftest import Connect
from tests.unit.embeddings.embedding_endpoint import Endpoint, Reply, answer_to, gives, says, vector_of

KEY = "sk-very-secret-0123456789"
TEXTS = ["alpha", "beta", "gamma ray"]


def expected(*texts: str) -> list[list[float]]:
    rows = np.array([vector_of(text) for text in texts])
    unit: list[list[float]] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).tolist()
    return unit


def same(vectors: object, *texts: str) -> bool:
    return np.allclose(vectors, expected(*texts), atol=1e-6)


def attempt(embedder: Embedder) -> KennelError:
    with pytest.raises(KennelError) as failed:
        embedder.embed_documents("tiny", TEXTS)
    return failed.value


# What it is asked


def test_the_request_is_that_of_the_protocol(endpoint: Endpoint, connect: Connect) -> None:
    vectors = connect(embeddings_api_key=KEY).embed_documents("tiny", TEXTS)
    assert same(vectors, *TEXTS)
    assert (vectors.shape, vectors.dtype) == ((3, 4), np.float32)
    assert endpoint.requests == [{"model": "acme/tiny", "input": TEXTS, "encoding_format": "float"}]
    assert endpoint.paths == ["/v1/embeddings"]
    assert endpoint.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert endpoint.headers[0]["Content-Type"] == "application/json"


def test_without_a_key_no_authorization_is_sent(endpoint: Endpoint, connect: Connect) -> None:
    connect(embeddings_url=f"{endpoint.base_url}/").embed_query("tiny", "alpha")
    assert endpoint.paths == ["/v1/embeddings"]
    assert "Authorization" not in endpoint.headers[0]


def test_prefixes_stand_before_queries_and_documents_and_no_other_task(
    endpoint: Endpoint, connect: Connect
) -> None:
    embedder = connect(embeddings_query_prefix="query: ", embeddings_document_prefix="passage: ")
    embedder.embed_documents("tiny", ["dog"])
    for task in TASKS:
        embedder.embed_query("tiny", "dog", task)
    assert endpoint.texts == [["passage: dog"], ["query: dog"], ["passage: dog"], ["dog"], ["dog"], ["dog"]]


def test_a_text_is_cut_before_its_prefix_is_added(endpoint: Endpoint, connect: Connect) -> None:
    connect(embeddings_max_chars=3, embeddings_query_prefix="q: ").embed_query("tiny", "abcdef")
    assert endpoint.texts == [["q: abc"]]


def test_blank_texts_are_zeros_and_never_sent(endpoint: Endpoint, connect: Connect) -> None:
    embedder = connect(embeddings_query_prefix="query: ")
    vectors = embedder.embed_documents("tiny", ["", "alpha", " \n"])
    assert not vectors[[0, 2]].any()
    assert same(vectors[1:2], "alpha")
    assert not embedder.embed_query("tiny", "  ").any()
    assert embedder.embed_documents("tiny", []).shape == (0, 4)
    assert endpoint.texts == [["alpha"]]


def test_calls_of_one_embedder_share_a_connection(endpoint: Endpoint, connect: Connect) -> None:
    embedder = connect()
    for text in TEXTS:
        assert same([embedder.embed_query("tiny", text)], text)
    assert endpoint.connections == 1


def test_a_closed_embedder_connects_again(endpoint: Endpoint, connect: Connect) -> None:
    embedder = connect()
    for _ in range(2):
        embedder.embed_query("tiny", "alpha")
        embedder.close()
    assert endpoint.connections == 2


def test_the_built_in_model_stays(endpoint: Endpoint, connect: Connect) -> None:
    assert connect().embed_query("wordllama_l2_supercat_v1", "dog").shape == (256,)
    assert endpoint.requests == []


# Batches


def test_many_texts_go_in_batches_and_come_back_in_order(endpoint: Endpoint, connect: Connect) -> None:
    texts = [f"{number} {'x' * number}" for number in range(25)]
    assert same(connect(embeddings_batch=4).embed_documents("tiny", texts), *texts)
    assert sorted(map(len, endpoint.texts)) == [1, 4, 4, 4, 4, 4, 4]


def test_exactly_four_batches_are_on_their_way_at_a_time(endpoint: Endpoint, connect: Connect) -> None:
    together = threading.Barrier(CONCURRENT_REQUESTS, timeout=30)
    under_way: list[int] = []
    counting = threading.Lock()
    current = 0

    def reply(handler: object) -> None:
        nonlocal current
        with counting:
            current += 1
            under_way.append(current)
        together.wait()  # breaks unless four requests are here
        with counting:
            current -= 1
        gives(answer_to(["x"]))(handler)  # type: ignore[arg-type]

    endpoint.replies.extend([reply] * 12)
    connect(embeddings_batch=1).embed_documents("tiny", ["x"] * 12)
    assert (CONCURRENT_REQUESTS, max(under_way), len(under_way)) == (4, 4, 12)


def test_the_first_refusal_ends_a_call_of_many_batches(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.replies.extend([says(400)] * 500)
    with pytest.raises(EmbeddingRefused):
        connect(embeddings_batch=1).embed_documents("tiny", ["x"] * 500)
    assert len(endpoint.requests) < 500


def test_one_batch_that_fails_for_a_while_is_asked_again_alone(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.replies.append(says(500))
    texts = ["a", "bb", "ccc"]
    assert same(connect(embeddings_batch=1).embed_documents("tiny", texts), *texts)
    assert len(endpoint.requests) == 4


# Answers


def test_vectors_are_put_in_the_order_of_their_index(endpoint: Endpoint, connect: Connect) -> None:
    endpoint.replies.append(gives(answer_to(TEXTS)[::-1]))
    assert same(connect().embed_documents("tiny", TEXTS), *TEXTS)


@pytest.mark.parametrize(
    ("vector", "direction"),
    [
        ([3, 0, 0, 4], [0.6, 0, 0, 0.8]),
        ([0, 0, 0, 0], [0, 0, 0, 0]),
        ([1e300, 0, 0, -1e300], [2**-0.5, 0, 0, -(2**-0.5)]),
        ([3e-30, 0, 4e-30, 0], [0.6, 0, 0.8, 0]),
    ],
)
def test_vectors_are_scaled_to_unit_length(
    endpoint: Endpoint, connect: Connect, vector: list[float], direction: list[float]
) -> None:
    endpoint.replies.append(gives([{"index": 0, "embedding": vector}]))
    np.testing.assert_allclose(connect().embed_query("tiny", "x"), direction, atol=1e-6)


def test_a_compressed_answer_is_read(endpoint: Endpoint, connect: Connect) -> None:
    body = gzip.compress(orjson.dumps({"data": answer_to(TEXTS)}))
    endpoint.replies.append(says(200, body, Content_Encoding="gzip"))
    assert same(connect().embed_documents("tiny", TEXTS), *TEXTS)


GOOD = answer_to(TEXTS)
OTHER_INDEX = [{**GOOD[0], "index": 1}, *GOOD[1:]]
TOO_SHORT = [GOOD[0], {"index": 1, "embedding": [1.0, 2.0]}, GOOD[2]]


@pytest.mark.parametrize(
    ("reply", "says_what_to_do"),
    [
        (gives(GOOD[:2]), r"one vector \(2 for 3\): lower KENNEL_EMBEDDINGS_BATCH"),
        (gives([*GOOD, *GOOD]), r"one vector \(6 for 3\)"),
        (gives([]), r"one vector \(0 for 3\)"),
        (gives(OTHER_INDEX), r"one vector \(3 for 3\)"),
        (gives(TOO_SHORT), "gives 2 dimensions, not 4: set KENNEL_EMBEDDINGS_DIMENSIONS"),
        (gives([{"index": 0}]), "something else than embeddings: check that KENNEL_EMBEDDINGS_URL"),
        (gives([{**each, "embedding": ["1", "2", "3", "4"]} for each in GOOD]), "something else"),
        (gives([{**each, "embedding": None} for each in GOOD]), "something else"),
        (says(200, b'{"data": [{"index": 0, "embedding": [NaN, 1, 1, 1]}]}'), "something else"),
        (says(200, b'{"data": [{"index": 0, "embedding": [1e999, 1, 1, 1]}]}'), "something else"),
        (says(200, b"<html>hello</html>"), "something else"),
        (says(200, b"\xff\xfe"), "something else"),
        (says(200, b""), "something else"),
        (says(204), "something else"),
        (says(200, b" " * 200_000), "more than 100768 bytes; check KENNEL_EMBEDDINGS_DIMENSIONS"),
        (says(200, b"not gzip", Content_Encoding="gzip"), "cannot be unpacked"),
        (
            says(301, Location="/elsewhere"),
            "answers 301: redirects are not followed, set KENNEL_EMBEDDINGS_URL",
        ),
        (says(400), "answers 400: check KENNEL_EMBEDDINGS_MODEL, and lower KENNEL_EMBEDDINGS_MAX_CHARS"),
        (says(401), "answers 401: check KENNEL_EMBEDDINGS_API_KEY"),
        (says(403), "answers 403: check what KENNEL_EMBEDDINGS_API_KEY may do"),
        (says(404), "answers 404: check KENNEL_EMBEDDINGS_URL and KENNEL_EMBEDDINGS_MODEL"),
        (says(413), "answers 413: lower KENNEL_EMBEDDINGS_BATCH or KENNEL_EMBEDDINGS_MAX_CHARS"),
        (says(418), "answers 418: its log may say why"),
    ],
)
def test_a_permanent_failure_is_told_at_once_with_what_to_do(
    endpoint: Endpoint, connect: Connect, pauses: list[float], reply: Reply, says_what_to_do: str
) -> None:
    endpoint.replies.append(reply)
    with pytest.raises(EmbeddingRefused, match=says_what_to_do) as refused:
        connect().embed_documents("tiny", TEXTS)
    assert not refused.value.retryable
    assert (len(endpoint.requests), pauses) == (1, [])


@pytest.mark.parametrize(
    ("status", "every_text"),
    [(400, False), (413, False), (422, False), (401, True), (403, True), (404, True)],
)
def test_an_error_says_whether_it_depends_on_the_text(
    endpoint: Endpoint, connect: Connect, status: int, every_text: bool
) -> None:
    endpoint.replies.append(says(status))
    with pytest.raises(EmbeddingRefused) as refused:
        connect().embed_documents("tiny", TEXTS)
    assert isinstance(refused.value, EmbeddingUnusable) == every_text


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
def test_no_error_repeats_the_key_or_the_texts(endpoint: Endpoint, connect: Connect, status: int) -> None:
    echo = orjson.dumps({"error": {"message": f"bad key {KEY} for {TEXTS}"}, "data": TEXTS})
    endpoint.replies.extend([says(status, echo)] * (RETRIES + 1))
    error: BaseException | None = attempt(connect(embeddings_api_key=KEY))
    while error is not None:
        assert not [secret for secret in (KEY, *TEXTS) if secret in f"{error!r} {vars(error)}"]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


# Failures that pass


def hangs_until(released: threading.Event) -> Reply:
    return lambda handler: released.wait(30) and None


def trickles_until(released: threading.Event) -> Reply:
    """An answer that never ends, piece by piece, so that no single piece is late."""

    def reply(handler: object) -> None:
        says(200, b"", Content_Length="1000000")(handler)  # type: ignore[arg-type]
        with suppress(OSError):
            while not released.wait(0.01):
                handler.wfile.write(b" ")  # type: ignore[attr-defined]

    return reply


def drops(handler: object) -> None:
    """Ends the connection without an answer."""
    handler.close_connection = True  # type: ignore[attr-defined]


@pytest.mark.parametrize("reply", [says(429), says(500), says(503), drops])
def test_what_passes_is_asked_again_after_a_growing_pause(
    endpoint: Endpoint, connect: Connect, pauses: list[float], reply: Reply
) -> None:
    endpoint.replies.extend([reply] * RETRIES)
    assert same(connect().embed_documents("tiny", TEXTS), *TEXTS)
    assert endpoint.texts == [TEXTS] * (RETRIES + 1)
    assert len(pauses) == RETRIES
    assert all(0 <= pause <= 0.5 * 2**number <= MAX_DELAY_S for number, pause in enumerate(pauses))


@pytest.mark.parametrize("slow", [hangs_until, trickles_until])
def test_an_answer_that_takes_too_long_is_not_waited_for(
    endpoint: Endpoint, connect: Connect, slow: Callable[[threading.Event], Reply]
) -> None:
    released = threading.Event()
    endpoint.replies.append(slow(released))
    try:
        vectors = connect(embeddings_timeout_s=0.3).embed_documents("tiny", TEXTS)
    finally:
        released.set()
    assert same(vectors, *TEXTS)
    assert len(endpoint.requests) == 2


@pytest.mark.parametrize("status", [429, 500, 599])
def test_what_does_not_pass_is_unavailable_after_the_last_attempt(
    endpoint: Endpoint, connect: Connect, pauses: list[float], status: int
) -> None:
    endpoint.replies.extend([says(status)] * 100)
    error = attempt(connect())
    assert (type(error), error.retryable) == (Unavailable, True)
    assert error.message == f"the embeddings endpoint answers {status}; try again later"
    assert (len(endpoint.requests), len(pauses)) == (RETRIES + 1, RETRIES)


def test_an_endpoint_that_is_not_there_is_unavailable(connect: Connect, pauses: list[float]) -> None:
    error = attempt(connect(embeddings_url=f"http://127.0.0.1:{free_port()}"))
    assert type(error) is Unavailable
    assert error.message == "the embeddings endpoint does not answer (ConnectError); try again shortly"
    assert len(pauses) == RETRIES


def test_retry_after_is_honoured(endpoint: Endpoint, connect: Connect, pauses: list[float]) -> None:
    endpoint.replies.append(says(429, Retry_After="7"))
    endpoint.replies.append(says(503, Retry_After="Sun, 06 Nov 1994 08:49:37 GMT"))
    connect().embed_documents("tiny", TEXTS)
    assert 7 <= pauses[0] <= 7.5
    assert 0 <= pauses[1] <= 1


def test_who_asks_for_too_much_patience_is_told_to_the_caller(
    endpoint: Endpoint, connect: Connect, pauses: list[float]
) -> None:
    endpoint.replies.append(says(429, Retry_After="3600"))
    error = attempt(connect())
    assert (type(error), error.details) == (Unavailable, {"retry_after_seconds": 3600.0})
    assert (len(endpoint.requests), pauses) == (1, [])
