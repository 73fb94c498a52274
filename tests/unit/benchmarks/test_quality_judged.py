"""Reading a judged collection, and the baseline on one of three documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.figures import BenchError
from benchmarks.processes import ROOT
from benchmarks.quality.baseline import bm25s_quality
from benchmarks.quality.judged import DATA_VARIABLE, Judged, Text, cisi_directory, read_judged

DOCUMENTS = """\
{"document_id": "d1", "title": "Soup", "author": "A.", "text": "Red lentils."}
{"document_id": "d2", "title": "Trains", "author": "B.", "text": "Railways at night."}
{"document_id": "d3", "title": "Cats", "author": "C.", "text": "They sleep."}
"""
QUERIES = """\
{"query_id": "1", "text": "a railway"}
{"query_id": "2", "text": "nobody judged this"}
{"query_id": "3", "text": "nothing answers this"}
"""
QRELS = "query_id\tdocument_id\trelevance\n1\td1\t0\n1\td2\t2\n3\td1\t0\n"


def test_only_queries_with_a_relevant_document_are_kept(tmp_path: Path) -> None:
    assert _read(tmp_path) == Judged(
        [
            Text("d1", "Soup", "Red lentils."),
            Text("d2", "Trains", "Railways at night."),
            Text("d3", "Cats", "They sleep."),
        ],
        {"1": "a railway"},
        {"1": {"d2": 2}},
    )


def test_the_baseline_finds_other_forms_of_a_word(tmp_path: Path) -> None:
    assert bm25s_quality(_read(tmp_path)).ndcg == {"1": 1.0}


def test_a_missing_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"documents\.jsonl.*set QUALITY_DATA to the directory"):
        read_judged(tmp_path / "cisi")


def test_the_data_is_beside_the_checkout_unless_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    assert cisi_directory() == ROOT.parent / "shared" / "data" / "cisi"
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    assert cisi_directory() == tmp_path / "cisi"


def _read(directory: Path) -> Judged:
    (directory / "documents.jsonl").write_text(DOCUMENTS)
    (directory / "queries.jsonl").write_text(QUERIES)
    (directory / "qrels.tsv").write_text(QRELS)
    return read_judged(directory)
