"""Any endpoint that speaks OpenAI's POST /embeddings, as vLLM, Ollama, llama.cpp, TEI and LiteLLM do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import httpx
import numpy as np
import orjson

from shared.embeddings.models import Task
from shared.embeddings.openai_answer import vectors_of
from shared.embeddings.provider import Vectors
from shared.embeddings.retries import retry_after_s, with_retries
from shared.errors import EmbeddingRefused, EmbeddingUnusable, Unavailable
from shared.settings import Settings

# Requests of one call on their way at a time.
CONCURRENT_REQUESTS = 4
_CONNECT_TIMEOUT_S = 5.0
# Bytes of a generously indented number in an answer, and of what surrounds the vectors.
_NUMBER_MAX_BYTES, _FRAME_MAX_BYTES = 64, 100_000

# One text may be to blame for these; others would be answered to any text.
_TEXT_STATUSES = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
_ADVICE: Mapping[int, str] = {
    HTTPStatus.BAD_REQUEST: "check KENNEL_EMBEDDINGS_MODEL, and lower KENNEL_EMBEDDINGS_MAX_CHARS",
    HTTPStatus.UNAUTHORIZED: "check KENNEL_EMBEDDINGS_API_KEY",
    HTTPStatus.FORBIDDEN: "check what KENNEL_EMBEDDINGS_API_KEY may do",
    HTTPStatus.NOT_FOUND: "check KENNEL_EMBEDDINGS_URL and KENNEL_EMBEDDINGS_MODEL",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "lower KENNEL_EMBEDDINGS_BATCH or KENNEL_EMBEDDINGS_MAX_CHARS",
    HTTPStatus.UNPROCESSABLE_ENTITY: "check KENNEL_EMBEDDINGS_MODEL, and lower KENNEL_EMBEDDINGS_MAX_CHARS",
}


class OpenAICompatible:
    """One endpoint with one client. Make it after a fork: the connections must not be shared.

    A batch takes at most `RETRIES` + 1 requests of `embeddings_timeout_s` each, and the pauses between them.
    """

    def __init__(self, settings: Settings, pause: Callable[[float], None]) -> None:
        self.max_chars = settings.embeddings_max_chars
        self.prefixes: Mapping[Task, str] = {
            "retrieval_query": settings.embeddings_query_prefix,
            "retrieval_document": settings.embeddings_document_prefix,
        }
        self._settings = settings
        self._pause = pause
        self._url = settings.embeddings_url.rstrip("/") + "/embeddings"
        self._client = httpx.Client(
            headers=_headers(settings), timeout=_timeout(settings), follow_redirects=False
        )

    def close(self) -> None:
        self._client.close()

    def embed(self, texts: Sequence[str]) -> Vectors:
        size = self._settings.embeddings_batch
        batches = [texts[start : start + size] for start in range(0, len(texts), size)]
        if len(batches) == 1:
            return self._embed_batch(batches[0])
        # The first failure ends the call; what was not sent by then is not sent.
        with ThreadPoolExecutor(CONCURRENT_REQUESTS, thread_name_prefix="embeddings") as pool:
            return np.concatenate(list(pool.map(self._embed_batch, batches)))

    def _embed_batch(self, texts: Sequence[str]) -> Vectors:
        body = orjson.dumps(
            {"model": self._settings.embeddings_model, "input": list(texts), "encoding_format": "float"}
        )
        dimensions = self._settings.embeddings_dimensions
        answer_max_bytes = len(texts) * dimensions * _NUMBER_MAX_BYTES + _FRAME_MAX_BYTES
        answer = with_retries(lambda: self._ask(body, answer_max_bytes), self._pause)
        return vectors_of(answer, len(texts), dimensions)

    def _ask(self, body: bytes, answer_max_bytes: int) -> bytes:
        """One request.

        Raises:
            Unavailable: no answer in time, 429 or 5xx.
            EmbeddingUnusable: a status that every text would get.
            EmbeddingRefused: any other than 2xx, or an answer that is too large or cannot be unpacked.
        """
        ends_at = time.monotonic() + self._settings.embeddings_timeout_s
        try:
            with self._client.stream("POST", self._url, content=body) as response:
                _raise_for_status(response)
                return _read(response, answer_max_bytes, ends_at)
        except httpx.TransportError as error:
            raise Unavailable(
                f"the embeddings endpoint does not answer ({type(error).__name__}); try again shortly"
            ) from error
        except httpx.DecodingError:
            raise EmbeddingRefused(
                "the embeddings endpoint's answer cannot be unpacked; check what stands in front of it"
            ) from None


def _headers(settings: Settings) -> dict[str, str]:
    key = settings.embeddings_api_key.get_secret_value()
    return {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})


def _timeout(settings: Settings) -> httpx.Timeout:
    timeout_s = settings.embeddings_timeout_s
    return httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S))


def _read(response: httpx.Response, max_bytes: int, ends_at: float) -> bytes:
    """The body. The client times each piece of it; the whole is over at `ends_at` (monotonic clock, s)."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > max_bytes:
            raise EmbeddingRefused(
                f"the embeddings endpoint answers with more than {max_bytes} bytes; check "
                "KENNEL_EMBEDDINGS_DIMENSIONS"
            )
        if time.monotonic() > ends_at:
            raise httpx.ReadTimeout("the answer takes too long", request=response.request)
    return bytes(body)


def _raise_for_status(response: httpx.Response) -> None:
    """Never with the answer's text: it may repeat the texts or the key."""
    status = response.status_code
    if response.is_success:
        return
    if status == HTTPStatus.TOO_MANY_REQUESTS or response.is_server_error:
        asked_s = retry_after_s(response.headers.get("Retry-After", ""))
        raise Unavailable(
            f"the embeddings endpoint answers {status}; try again later",
            details={} if asked_s is None else {"retry_after_seconds": asked_s},
        )
    if response.is_redirect:
        advice = "redirects are not followed, set KENNEL_EMBEDDINGS_URL to where it leads"
    else:
        advice = _ADVICE.get(status, "its log may say why")
    refused = EmbeddingRefused if status in _TEXT_STATUSES else EmbeddingUnusable
    raise refused(f"the embeddings endpoint answers {status}: {advice}")
