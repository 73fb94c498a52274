"""One ranking from several. By rank or by normalised score, so it is the same whatever engine ranked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.models.document import Document

Method = Literal["rrf", "weighted", "dbsf", "max"]

# Reciprocal rank fusion: Cormack, Clarke and Büttcher 2009, with their constant.
RRF_K = 60
# Distribution-based score fusion takes mean ± 3 standard deviations as the range of a ranking's scores.
_DBSF_DEVIATIONS = 3.0
_SCORE_DECIMALS = 9


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one search found, best first.

    Attributes:
        relevance: its score of a document on a scale of 0 to 1, the same for all searches.
    """

    documents: Sequence[Document]
    weight: float
    relevance: Callable[[float], float]


def fuse(rankings: Sequence[Ranking], method: Method) -> list[Document]:
    """The documents of all rankings, each once, best first; ties by document id, then by collection.

    - rrf: the sum of weight / (60 + rank).
    - weighted: the sum of weight * score, scores scaled to 0..1 between the least and the best of a ranking.
    - dbsf: the same, scaled between mean - 3 sigma and mean + 3 sigma, and cut off there.
    - max: the best weight * relevance.

    Scores are rounded to nine decimals, so that sums in another order tie all the same.
    """
    contributions: dict[tuple[str, str], list[float]] = {}
    first: dict[tuple[str, str], Document] = {}
    for ranking in rankings:
        for document, value in zip(ranking.documents, _VALUES[method](ranking), strict=True):
            key = (document.document_id, document.collection_id)
            contributions.setdefault(key, []).append(ranking.weight * value)
            first.setdefault(key, document)
    combine = max if method == "max" else math.fsum
    scores = {key: round(combine(values), _SCORE_DECIMALS) for key, values in contributions.items()}
    return [first[key].with_score(scores[key]) for key in sorted(scores, key=lambda key: (-scores[key], key))]


def merged_by_score(rankings: Sequence[Sequence[Document]]) -> list[Document]:
    """Rankings whose scores can be compared, such as similarities of one model."""
    documents = [document for ranking in rankings for document in ranking]
    return sorted(documents, key=lambda each: (-(each.score or 0.0), each.document_id, each.collection_id))


def _scores(ranking: Ranking) -> list[float]:
    return [document.score or 0.0 for document in ranking.documents]


def _reciprocal_ranks(ranking: Ranking) -> list[float]:
    return [1.0 / (RRF_K + rank) for rank in range(1, len(ranking.documents) + 1)]


def _between_extremes(ranking: Ranking) -> list[float]:
    scores = _scores(ranking)
    least, best = min(scores, default=0.0), max(scores, default=0.0)
    return [(score - least) / (best - least) if best > least else 1.0 for score in scores]


def _by_distribution(ranking: Ranking) -> list[float]:
    scores = _scores(ranking)
    if not scores:
        return []
    mean = math.fsum(scores) / len(scores)
    deviation = math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores))
    if deviation == 0:
        return [0.5] * len(scores)
    reach = _DBSF_DEVIATIONS * deviation
    return [min(1.0, max(0.0, (score - mean + reach) / (2 * reach))) for score in scores]


def _relevances(ranking: Ranking) -> list[float]:
    return [ranking.relevance(score) for score in _scores(ranking)]


_VALUES: Mapping[Method, Callable[[Ranking], list[float]]] = {
    "rrf": _reciprocal_ranks,
    "weighted": _between_extremes,
    "dbsf": _by_distribution,
    "max": _relevances,
}
