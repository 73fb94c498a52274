"""What Kennel's search is compared with: the package `bm25s`, with its own defaults."""

from __future__ import annotations

import bm25s
import Stemmer

from benchmarks.quality.judged import Judged
from benchmarks.quality.metrics import RECALL_DEPTH, Quality, Rankings, quality_of

BASELINE = "bm25s"


def bm25s_quality(judged: Judged) -> Quality:
    return quality_of(BASELINE, _rankings(judged), judged)


def _rankings(judged: Judged) -> Rankings:
    """The best 100 documents for each query, without English stop words, by Snowball stems."""
    stemmer = Stemmer.Stemmer("english")

    def tokens(texts: list[str]) -> bm25s.tokenization.Tokenized:
        return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)

    index = bm25s.BM25()
    index.index(tokens([f"{each.title}\n{each.text}" for each in judged.documents]), show_progress=False)
    depth = min(RECALL_DEPTH, len(judged.documents))
    found, _ = index.retrieve(
        tokens(list(judged.queries.values())),
        corpus=[each.document_id for each in judged.documents],
        k=depth,
        show_progress=False,
    )
    return dict(zip(judged.queries, found.tolist(), strict=True))
