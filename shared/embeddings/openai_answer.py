"""The answer of POST /embeddings (OpenAI API reference, "Create embeddings"), checked before it is used."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.embeddings.provider import Vectors
from shared.errors import EmbeddingRefused


class _Embedding(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    index: int
    embedding: list[float]


class _Answer(BaseModel):
    data: list[_Embedding]


def vectors_of(answer: bytes, count: int, dimensions: int) -> Vectors:
    """The vectors by their `index`, whatever their order; shape (count, dimensions).

    Raises:
        EmbeddingRefused: no such answer, or another number of vectors, or of numbers in one. The error does
            not quote the answer, which may repeat the texts.
    """
    try:
        found = _Answer.model_validate_json(answer).data
    except ValidationError:
        raise EmbeddingRefused(
            "the embeddings endpoint answers with something else than embeddings: check that "
            "KENNEL_EMBEDDINGS_URL is the base URL of an OpenAI-compatible API"
        ) from None
    found.sort(key=lambda each: each.index)
    if [each.index for each in found] != list(range(count)):
        raise EmbeddingRefused(
            f"the embeddings endpoint does not give each text one vector ({len(found)} for {count}): "
            "lower KENNEL_EMBEDDINGS_BATCH"
        )
    for each in found:
        if len(each.embedding) != dimensions:
            raise EmbeddingRefused(
                f"the embeddings endpoint gives {len(each.embedding)} dimensions, not {dimensions}: "
                "set KENNEL_EMBEDDINGS_DIMENSIONS to what KENNEL_EMBEDDINGS_MODEL gives"
            )
    return _float32([each.embedding for each in found])


def _float32(rows: list[list[float]]) -> Vectors:
    """Scaled down where a number would not fit; the length of a row does not matter."""
    numbers = np.array(rows, np.float64)
    largest = np.abs(numbers).max(axis=1, keepdims=True)
    vectors: Vectors = (numbers / np.maximum(largest, 1.0)).astype(np.float32)
    return vectors
