"""The other fusions beside the shipped one, and weights for one of them, chosen on the odd queries alone."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.quality.judged import Judged
from benchmarks.quality.kennel import Loaded, Parameters, hybrid, rankings
from benchmarks.quality.metrics import Quality, quality_of, queries_of

OTHER_FUSIONS = ("weighted", "dbsf", "max")
TUNED = "hybrid_weighted_tuned"
_TENTHS = range(1, 10)


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the two searches; together 1, because only their ratio matters."""

    words: float
    vector: float

    @property
    def parameters(self) -> Parameters:
        return hybrid("weighted", words=self.words, vector=self.vector)


def other_fusions(loaded: Loaded, judged: Judged) -> list[Quality]:
    """Equal weights."""
    runs = [(f"hybrid_{fusion}", hybrid(fusion, words=1.0, vector=1.0)) for fusion in OTHER_FUSIONS]
    return [
        quality_of(name, rankings(loaded, name, parameters, judged.queries), judged)
        for name, parameters in runs
    ]


def tuned_fusion(loaded: Loaded, judged: Judged) -> tuple[Quality, Weights]:
    """The `weighted` fusion with the best weights of a grid in tenths; of equally good ones the first."""
    odd = {query_id: judged.queries[query_id] for query_id in queries_of(judged.queries, "odd")}

    def on_odd(tenths: int) -> float:
        name = f"hybrid_weighted_{tenths}_tenths"
        found = rankings(loaded, name, _weights(tenths).parameters, odd)
        return quality_of(name, found, judged).mean_ndcg()

    best = _weights(max(_TENTHS, key=on_odd))
    return quality_of(TUNED, rankings(loaded, TUNED, best.parameters, judged.queries), judged), best


def _weights(tenths: int) -> Weights:
    """`tenths` for the words, the rest for the vectors."""
    return Weights(tenths / 10, (10 - tenths) / 10)
