"""Texts to vectors of unit length, with any model of this installation. For workers: it loads models."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from shared.embeddings.models import BUILT_IN, TASKS, Task, embedding_models
from shared.embeddings.openai_compatible import OpenAICompatible
from shared.embeddings.provider import Provider, Vectors
from shared.embeddings.static_words import static_words
from shared.errors import InvalidInput
from shared.settings import Settings


class Embedder:
    """Cheap to make and shared by threads; a model is loaded when it is first used. Use it after a fork only.

    Only the first characters of a text are read: 20,000 by the built-in model, `embeddings_max_chars` by the
    endpoint. A blank text's vector is all zeros, for every model.

    Args:
        pause: Waits between two attempts at the endpoint (s).
    """

    def __init__(self, settings: Settings, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._pause = pause
        self._models = embedding_models(settings)
        self._connecting = threading.Lock()
        self._endpoint: OpenAICompatible | None = None

    def close(self) -> None:
        """End the connections to the endpoint; a later call opens new ones."""
        with self._connecting:
            if self._endpoint is not None:
                self._endpoint.close()
            self._endpoint = None

    def embed_documents(self, model: str, texts: Sequence[str]) -> Vectors:
        """Vectors of documents, shape (len(texts), dimensions), each row of unit length or all zeros.

        Raises:
            InvalidInput: no such model, or a text with half of a surrogate pair.
            Unavailable: the endpoint stayed away over all attempts.
            EmbeddingRefused: the endpoint refuses the request or answers nonsense.
        """
        return self._embed(model, texts, "retrieval_document")

    def embed_query(self, model: str, text: str, task: str = "retrieval_query") -> Vectors:
        """The vector of one text, shape (dimensions,), of unit length or all zeros. Raises as above.

        Args:
            task: What the vector is for, one of `TASKS`.
        """
        if task not in TASKS:
            raise InvalidInput.at(["task"], f"{task!r} is not one of {', '.join(TASKS)}", value=task)
        vector: Vectors = self._embed(model, [text], task)[0]
        return vector

    def _embed(self, model: str, texts: Sequence[str], task: Task) -> Vectors:
        if model not in self._models:
            known = ", ".join(self._models)
            raise InvalidInput.at(
                ["model"], f"{model!r} is no embedding model here; use {known}", value=model
            )
        vectors = np.zeros((len(texts), self._models[model].dimensions), np.float32)
        provider = self._provider(model)
        prefix = provider.prefixes.get(task, "")
        read = [_checked(index, text[: provider.max_chars]) for index, text in enumerate(texts)]
        rows = [index for index, text in enumerate(read) if text and not text.isspace()]
        if rows:
            vectors[rows] = provider.embed([prefix + read[index] for index in rows])
        _scale_to_unit_length(vectors)
        return vectors

    def _provider(self, model: str) -> Provider:
        if model == BUILT_IN.name:
            return static_words()
        with self._connecting:
            if self._endpoint is None:
                self._endpoint = OpenAICompatible(self._settings, self._pause)
            return self._endpoint


def _checked(index: int, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput.at(
            ["texts", index], "the text holds half of a surrogate pair; send whole Unicode characters"
        ) from None
    return text


def _scale_to_unit_length(vectors: Vectors) -> None:
    """Divide each row by its Euclidean norm; a row of zeros stays one."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))[:, np.newaxis]
    np.divide(vectors, norms, out=vectors, where=norms > 0)
