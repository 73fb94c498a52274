"""The table of a run, what was compared, and whether the targets hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.quality.fusions import TUNED, Weights
from benchmarks.quality.kennel import BM25, HYBRID
from benchmarks.quality.metrics import Quality
from shared.stop_words import ENGLISH
from workers.search.fusion import RRF_K
from workers.search.parameters import FeatureSearchParameters, Search

# Name of a run -> least nDCG@10 over all queries, as a multiple of the baseline's.
TARGETS: Mapping[str, float] = {BM25: 0.95, HYBRID: 1.05}
_HEADINGS = ("nDCG@10", "odd", "even", "ratio", "even", "chance", "recall@100")
_NAME_WIDTH, _WIDTH = 24, 10
# Built into SQLite's FTS5 (sqlite.org/fts5.html, "The bm25() function").
_FTS5_K1, _FTS5_B = 1.2, 0.75


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what was measured, as ratios to the baseline."""

    name: str
    least: float
    ratio: float
    even_ratio: float  # no part of the target

    @property
    def is_met(self) -> bool:
        return self.ratio >= self.least

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.ratio:.3f} over all queries, target ≥ {self.least:g}: "
            f"{'met' if self.is_met else 'NOT MET'}; {self.even_ratio:.3f} over the even ones"
        )


def table(baseline: Quality, qualities: Sequence[Quality]) -> str:
    """A line for each run; ratios are those of nDCG@10 to the baseline, over all and over even queries.

    `chance` is how likely such a difference to the baseline is between runs that are equally good.
    """
    head = f"{'':{_NAME_WIDTH}}" + "".join(f"{heading:>{_WIDTH + 1}}" for heading in _HEADINGS)
    return "\n".join([head, "─" * len(head), *(_line(each, baseline) for each in (baseline, *qualities))])


def _line(quality: Quality, baseline: Quality) -> str:
    figures = (
        f"{quality.mean_ndcg():.3f}",
        f"{quality.mean_ndcg('odd'):.3f}",
        f"{quality.mean_ndcg('even'):.3f}",
        f"{quality.ratio(baseline):.3f}x",
        f"{quality.ratio(baseline, 'even'):.3f}x",
        f"{quality.chance(baseline):.2f}",
        f"{quality.mean_recall():.3f}",
    )
    return f"{quality.name:{_NAME_WIDTH}}" + "".join(f"{figure:>{_WIDTH + 1}}" for figure in figures)


def shipped(model: str) -> str:
    """The defaults behind the runs that choose nothing, in one paragraph."""
    fusion = FeatureSearchParameters.model_fields["fusion"].default
    weight = Search.model_fields["weight"].default
    top_k = Search.model_fields["top_k"].default
    return (
        f"Shipped: fusion {fusion} (k = {RRF_K}), weight {weight:g}, the best {top_k} of each search; "
        f"BM25 with k1 = {_FTS5_K1}, b = {_FTS5_B}, Porter stems and {len(ENGLISH)} stop words; "
        f"vectors {model}."
    )


def chosen(weights: Weights) -> str:
    return (
        f"Chosen on the odd queries: weights {weights.words:g} (words) and {weights.vector:g} (vector) of "
        f"{TUNED}; judge it by the even ones. No other run has anything chosen here."
    )


def verdicts(baseline: Quality, qualities: Sequence[Quality]) -> list[Verdict]:
    """One for each run that has a target, in the order of the runs."""
    return [
        Verdict(each.name, TARGETS[each.name], each.ratio(baseline), each.ratio(baseline, "even"))
        for each in qualities
        if each.name in TARGETS
    ]
