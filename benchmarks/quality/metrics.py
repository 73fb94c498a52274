"""How good rankings are, by the judgments of people."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.figures import BenchError
from benchmarks.quality.judged import Judged

NDCG_DEPTH = 10
RECALL_DEPTH = 100
_RANDOMISATIONS = 10_000
_ROUNDING = 1e-9
# Query id -> ids of the documents found, best first.
Rankings = Mapping[str, Sequence[str]]
Part = Literal["all", "odd", "even"]


def ndcg(ranking: Sequence[str], relevance: Mapping[str, int], depth: int) -> float:
    """Normalised discounted cumulated gain of the first `depth` documents, 0 to 1.

    Järvelin and Kekäläinen 2002, with the gain 2^grade - 1 and the discount log2(1 + rank) that are usual
    since Burges et al. 2005.

    Raises:
        BenchError: no document is relevant, so that no order is better than another.
    """
    ideal = _cumulated_gain(sorted(relevance.values(), reverse=True)[:depth])
    if ideal == 0:
        raise BenchError("nDCG is not defined for a query without a relevant document")
    return _cumulated_gain(relevance.get(document_id, 0) for document_id in ranking[:depth]) / ideal


def recall(ranking: Sequence[str], relevance: Mapping[str, int], depth: int) -> float:
    """The share of the relevant documents that are among the first `depth`, 0 to 1.

    Raises:
        BenchError: no document is relevant.
    """
    relevant = {document_id for document_id, grade in relevance.items() if grade > 0}
    if not relevant:
        raise BenchError("recall is not defined for a query without a relevant document")
    return len(relevant.intersection(ranking[:depth])) / len(relevant)


def _cumulated_gain(grades: Iterable[int]) -> float:
    return math.fsum((2**grade - 1) / math.log2(1 + rank) for rank, grade in enumerate(grades, start=1))


@dataclass(frozen=True, slots=True)
class Quality:
    """The figures of one run.

    Attributes:
        ndcg: query id -> nDCG@10.
        recall: query id -> recall@100.
    """

    name: str
    ndcg: Mapping[str, float]
    recall: Mapping[str, float]

    def mean_ndcg(self, part: Part = "all") -> float:
        return statistics.fmean(self.ndcg[query_id] for query_id in queries_of(self.ndcg, part))

    def mean_recall(self) -> float:
        return statistics.fmean(self.recall.values())

    def ratio(self, baseline: Quality, part: Part = "all") -> float:
        """Of the nDCGs."""
        return self.mean_ndcg(part) / baseline.mean_ndcg(part)

    def chance(self, baseline: Quality) -> float:
        """How likely a difference in mean nDCG as large as this is between two runs that are equally good.

        The paired randomisation test (Smucker, Allan and Carterette 2007), two-sided: each query's difference
        might as well have had the other sign. The same figures give the same answer.
        """
        differences = np.array([self.ndcg[query_id] - value for query_id, value in baseline.ndcg.items()])
        signs = np.random.default_rng(0).choice((-1.0, 1.0), (_RANDOMISATIONS, len(differences)))
        as_large = np.abs(signs @ differences) >= abs(differences.sum()) - _ROUNDING
        return float(as_large.mean())


def quality_of(name: str, rankings: Rankings, judged: Judged) -> Quality:
    """The figures of rankings, for the queries that they answer."""
    judgments = [(query_id, ranking, judged.relevance[query_id]) for query_id, ranking in rankings.items()]
    return Quality(
        name,
        {query_id: ndcg(ranking, relevance, NDCG_DEPTH) for query_id, ranking, relevance in judgments},
        {query_id: recall(ranking, relevance, RECALL_DEPTH) for query_id, ranking, relevance in judgments},
    )


def queries_of(query_ids: Iterable[str], part: Part) -> list[str]:
    """Those with an odd or even number: what is chosen on the ones is reported on the others."""
    remainders = {"all": (0, 1), "odd": (1,), "even": (0,)}[part]
    return [query_id for query_id in query_ids if int(query_id) % 2 in remainders]
