"""Made-up documents and queries: words as frequent as Zipf says, vectors in clusters, the same every time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.documents import DocumentWrite

DIMENSIONS = 256
VECTOR_NAME = "near"
SHARES = 1_000  # a document's `share` is a number below: `share < n` passes n thousandths of all
_WORDS_LEAST, _WORDS_MOST = 40, 80  # 60 on average; of one length only, too many documents would tie
_VOCABULARY = 30_000
_DIRECTIONS = 60
_NOISE = 0.08  # of each dimension; the cosine of two vectors of one cluster is about 0.4
_QUERY_WORDS = 3
_QUERY_RANKS = (30, 3_000)  # words that a person would ask for: neither in every document nor in one
_SEED = 7


@dataclass(frozen=True, slots=True)
class Query:
    """One question, in words and as a vector."""

    words: str
    vector: list[float]


class Corpus:
    """Each call goes on where the last one ended."""

    def __init__(self) -> None:
        self._chance = np.random.default_rng(_SEED)
        self._directions = _unit(self._chance.standard_normal((_DIRECTIONS, DIMENSIONS)))
        frequencies = 1 / np.arange(1, _VOCABULARY + 1)
        self._frequencies = np.cumsum(frequencies / frequencies.sum())

    def documents(self, first: int, count: int, *, vectors: bool = True) -> list[DocumentWrite]:
        """Documents number `first` and following: about 700 bytes of JSON each."""
        numbers = self._vectors(count).tolist() if vectors else [None] * count
        return [
            DocumentWrite(
                f"doc_{number:07}",
                self._fields(number),
                {VECTOR_NAME: vector} if vector else {},
            )
            for number, vector in enumerate(numbers, start=first)
        ]

    def queries(self, count: int) -> list[Query]:
        ranks = self._chance.integers(*_QUERY_RANKS, (count, _QUERY_WORDS)).tolist()
        vectors = self._vectors(count).tolist()
        return [
            Query(" ".join(map(_word, words)), vector) for words, vector in zip(ranks, vectors, strict=True)
        ]

    def _fields(self, number: int) -> dict[str, Any]:
        ranks = np.searchsorted(
            self._frequencies, self._chance.random(self._chance.integers(_WORDS_LEAST, _WORDS_MOST + 1))
        )
        return {
            "title": f"Document {number}",
            "text": " ".join(map(_word, ranks.tolist())),
            "share": int(self._chance.integers(SHARES)),
            "price": round(float(self._chance.uniform(1, 1_000)), 2),
            "tags": [f"tag{each}" for each in self._chance.integers(20, size=3)],
        }

    def _vectors(self, count: int) -> NDArray[np.float64]:
        directions = self._directions[self._chance.integers(_DIRECTIONS, size=count)]
        return _unit(directions + _NOISE * self._chance.standard_normal((count, DIMENSIONS)))


def _word(rank: int) -> str:
    return f"word{rank}"


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
