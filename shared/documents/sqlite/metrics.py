"""How near two vectors are: a score, higher is nearer, for each metric that can be declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from shared.documents.store import Metric

Floats = NDArray[np.float32]

_CHUNK_ROWS = 4_096  # whose differences to a query are held at a time
_SCORE_DECIMALS = 6
_DISTANCE_DIGITS = 6


def prepared(metric: Metric, rows: Floats) -> Floats:
    """The rows in the form in which they are kept and compared; cosines need unit length."""
    return unit_rows(rows) if metric == "cosine" else rows


def nearness(metric: Metric, rows: Floats, queries: Floats) -> Floats:
    """The best score of each row with any of the queries (rows, too), both prepared.

    cosine: the similarity, -1 to 1. dot_product: the product as it is. euclidean: 1 / (1 + distance).

    Not `rows @ query`, which OpenBLAS shares out over threads of its own that wait for each other.
    """
    score = _SCORES[metric]
    best: Floats = score(rows, queries[0])
    for query in queries[1:]:
        np.maximum(best, score(rows, query), out=best)
    return best


def rounded(metric: Metric, score: float) -> float:
    """As a hit shows it: six decimals, but six digits where far vectors have small scores that differ."""
    if metric == "euclidean":
        return float(f"{score:.{_DISTANCE_DIGITS}g}")
    return round(score, _SCORE_DECIMALS)


def unit_rows(rows: Floats) -> Floats:
    """Each row divided by its length; a row of zeros stays."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    lengths[lengths == 0] = 1.0
    unit: Floats = (rows / lengths).astype(np.float32)
    return unit


def _by_product(rows: Floats, query: Floats) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        products: Floats = np.vecdot(rows, query)
    return np.nan_to_num(products, copy=False)  # too large for float32: the largest there is


def _by_distance(rows: Floats, query: Floats) -> Floats:
    """By differences: lengths and products would lose the distance of vectors that are near."""
    scores = np.empty(len(rows), np.float32)
    with np.errstate(over="ignore"):
        for start in range(0, len(rows), _CHUNK_ROWS):
            difference = rows[start : start + _CHUNK_ROWS] - query
            scores[start : start + _CHUNK_ROWS] = 1 / (1 + np.sqrt(np.vecdot(difference, difference)))
    return scores


_SCORES: Mapping[Metric, Callable[[Floats, Floats], Floats]] = {
    "cosine": np.vecdot,
    "dot_product": _by_product,
    "euclidean": _by_distance,
}
