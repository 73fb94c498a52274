"""Snapshots as workers hold them."""

from __future__ import annotations

from dataclasses import replace

import orjson

from tests.unit.workers.pipelines import claim, stage
from workers.execution.definition import DefinitionCache

SNAPSHOT = orjson.dumps({"retriever_name": "r", "stages": [stage("sort", "sort_attribute", field="year")]})


def test_a_version_is_read_once() -> None:
    read: list[str] = []

    def read_snapshot(key: str) -> bytes:
        read.append(key)
        return SNAPSHOT

    cache = DefinitionCache(read_snapshot)
    assert cache.get(claim(["c"])) is cache.get(claim(["c"]))
    assert len(read) == 1


def test_what_is_run_ad_hoc_comes_with_its_claim_and_is_not_kept() -> None:
    cache = DefinitionCache(lambda key: None)
    first = replace(claim(["c"]), retriever_id="adhoc_ns", definition=SNAPSHOT)
    other = replace(first, definition=SNAPSHOT.replace(b'"year"', b'"title"'))
    assert [cache.get(each).stages[0].parameters["field"] for each in (first, other)] == ["year", "title"]
    assert cache.get(first) is not cache.get(first)
