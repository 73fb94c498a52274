"""How similar documents are to one of them: by stored vectors, by fields, or by several of these.

What cannot be compared, a document without vectors or without the field, is similar to nothing: 0.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import reduce
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.errors import StageError
from shared.models.document import Document
from workers.context import StageContext
from workers.documents.groups import equality_key

Numbers = NDArray[np.float64]

# Vectors are held in memory at once, as doubles: 32,000 of 1,024 numbers.
VECTORS_MAX_BYTES = 256 * 2**20
_DOCUMENTS_PER_READ = 200


class Similarity(Protocol):
    def to(self, index: int) -> Numbers:
        """How similar each document is to the one at `index`; shape (documents,)."""


# --- vectors ---------------------------------------------------------------------------------------


class VectorSimilarity:
    """By vectors. Of documents with several vectors, the two that are most similar count."""

    def __init__(self, vectors: Sequence[Numbers], metric: str) -> None:
        """
        Args:
            vectors: for each document an array of shape (its vectors, dimensions), the dimensions equal for
                all; shape (0, 0) for a document without vectors.
            metric: cosine, dot or euclidean.
        """
        counts = np.array([len(each) for each in vectors])
        self._ends = [0, *np.cumsum(counts).tolist()]
        self._has_vectors = counts > 0
        self._rows = np.concatenate([each for each in vectors if len(each)])
        if metric == "cosine":
            self._rows = _unit(self._rows)
        self._squares = (self._rows**2).sum(axis=1) if metric == "euclidean" else None

    def to(self, index: int) -> Numbers:
        similar = np.zeros(len(self._has_vectors))
        if self._has_vectors[index]:
            own = range(self._ends[index], self._ends[index + 1])
            best = reduce(np.maximum, map(self._to_row, own))
            starts = np.array(self._ends[:-1])[self._has_vectors]
            similar[self._has_vectors] = np.maximum.reduceat(best, starts)
        return similar

    def _to_row(self, row: int) -> Numbers:
        """How similar each row is to one of them: the inner product, of unit vectors for cosine.

        For euclidean 1 / (1 + d), which is 1 for equal vectors and falls to 0; d² = |a|² + |b|² - 2ab.
        """
        products: Numbers = self._rows @ self._rows[row]
        if self._squares is None:
            return products
        squares = np.maximum(self._squares + self._squares[row] - 2.0 * products, 0.0)
        similar: Numbers = 1.0 / (1.0 + np.sqrt(squares))
        return similar


def _unit(rows: Numbers) -> Numbers:
    """Each vector with length 1; one of zeros stays as it is."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths == 0.0, 1.0, lengths)


def stored_vectors(documents: Sequence[Document], feature: str, context: StageContext) -> list[Numbers]:
    """For each document its vectors for a feature, as VectorSimilarity takes them.

    Raises:
        StageError: vectors of different lengths, or more than fit in 256 MiB.
    """
    vectors: list[Numbers] = []
    size_bytes = 0
    first: tuple[Document, int] | None = None
    for start in range(0, len(documents), _DOCUMENTS_PER_READ):
        context.check()
        part = documents[start : start + _DOCUMENTS_PER_READ]
        found = context.vectors(part, feature)
        for document in part:
            own = found.get((document.collection_id, document.document_id), [])
            for vector in own:
                first = first or (document, len(vector))
                _check_length(document, len(vector), first, feature)
            vectors.append(np.array(own, dtype=np.float64) if own else np.empty((0, 0)))
            size_bytes += vectors[-1].nbytes
        if size_bytes > VECTORS_MAX_BYTES:
            raise StageError(
                f"the vectors of {len(documents)} documents for {feature!r} take more than "
                f"{VECTORS_MAX_BYTES:,} bytes; pass fewer documents to this stage"
            )
    return vectors


def _check_length(document: Document, length: int, first: tuple[Document, int], feature: str) -> None:
    if length != first[1]:
        raise StageError(
            f"vectors of different lengths cannot be compared: for {feature!r}, document "
            f"{first[0].document_id!r} has {first[1]} numbers and {document.document_id!r} has {length}"
        )


# --- fields ----------------------------------------------------------------------------------------


class FieldSimilarity:
    """By the values of one field: the Jaccard index |A ∩ B| / |A ∪ B| of two lists.

    A single value is a list of one, so equal values are similar 1 and different ones 0.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        """
        Args:
            values: the field's value in each document; None where there is none.
        """
        self._values = [_elements(value) for value in values]
        self._sizes = np.array([len(elements) for elements in self._values], dtype=np.float64)
        holders: dict[Hashable, list[int]] = {}
        for index, elements in enumerate(self._values):
            for element in elements:
                holders.setdefault(element, []).append(index)
        self._holders = {element: np.array(indexes) for element, indexes in holders.items()}

    def to(self, index: int) -> Numbers:
        shared = np.zeros(len(self._values))
        for element in self._values[index]:
            shared[self._holders[element]] += 1.0
        union = self._sizes + self._sizes[index] - shared
        return shared / np.where(union == 0.0, 1.0, union)


def _elements(value: Any) -> set[Hashable]:
    elements = value if isinstance(value, list) else [value]
    return {equality_key(element) for element in elements if element is not None}


# --- several ---------------------------------------------------------------------------------------


class WeightedSimilarity:
    """The weighted mean of several similarities; without any, documents are not similar at all."""

    def __init__(self, parts: Sequence[tuple[Similarity, float]], count: int) -> None:
        """
        Args:
            parts: each with its weight, above 0.
            count: how many documents there are.
        """
        self._parts = parts
        self._count = count
        self._total_weight = sum(weight for _, weight in parts)

    def to(self, index: int) -> Numbers:
        similar = np.zeros(self._count)
        for part, weight in self._parts:
            similar += weight / self._total_weight * part.to(index)
        return similar
