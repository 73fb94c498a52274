"""A judged collection: documents, queries, and which documents answer them. The checkout has none."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import BenchError
from benchmarks.processes import ROOT

DATA_VARIABLE = "QUALITY_DATA"
_CISI = "cisi"


@dataclass(frozen=True, slots=True)
class Text:
    """One document."""

    document_id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A collection with the judged ones of its queries.

    Attributes:
        queries: query id -> text; each has a relevant document.
        relevance: query id -> document id -> grade; a document that is not named has grade 0.
    """

    documents: Sequence[Text]
    queries: Mapping[str, str]
    relevance: Mapping[str, Mapping[str, int]]


def cisi_directory() -> Path:
    """Where CISI is: in `shared/data` beside the checkout, or in the directory that QUALITY_DATA names."""
    return Path(os.environ.get(DATA_VARIABLE) or ROOT.parent / "shared" / "data") / _CISI


def read_judged(directory: Path) -> Judged:
    """The collection of `documents.jsonl`, `queries.jsonl` and `qrels.tsv`, in the order of these files.

    Raises:
        BenchError: one of the files is missing.
    """
    try:
        documents = _json_lines(directory / "documents.jsonl")
        queries = _json_lines(directory / "queries.jsonl")
        relevance = _relevance(directory / "qrels.tsv")
    except FileNotFoundError as error:
        raise BenchError(
            f"there is no judged collection: {error.filename} does not exist; "
            f"set {DATA_VARIABLE} to the directory that holds {directory.name}"
        ) from error
    return Judged(
        [Text(each["document_id"], each["title"], each["text"]) for each in documents],
        {each["query_id"]: each["text"] for each in queries if each["query_id"] in relevance},
        relevance,
    )


def _json_lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _relevance(path: Path) -> dict[str, dict[str, int]]:
    """Without the judgments "not relevant"."""
    relevance: dict[str, dict[str, int]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if int(row["relevance"]) > 0:
                relevance.setdefault(row["query_id"], {})[row["document_id"]] = int(row["relevance"])
    return relevance
