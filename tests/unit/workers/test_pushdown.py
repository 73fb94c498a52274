"""Whether the engine does a stage's work or the stage itself, the result is the same.

Each pipeline runs twice: as it is, so that its first stages become one question to the engine, and behind a
stage that fetches all documents first, so that every stage works in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from shared.documents import DocumentStore
from tests.unit.workers.pipelines import PrivateRun, claim, execute, fill, stage

FETCH_ALL = stage("fetch all", "feature_search", searches=[], final_top_k=5000)

WORDS = ("trains", "train", "ships", "moon", "the")
texts = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
years = st.one_of(st.integers(-1, 2), st.sampled_from([0.5, "1", True, None]))
tags = st.lists(st.sampled_from(["a", "b", 1]), max_size=2)
fields = st.fixed_dictionaries(
    {"text": texts},
    optional={
        "year": years,
        "tags": tags,
        "score": st.integers(0, 2),
        "about": st.fixed_dictionaries({"year": years}),
    },
)
document_ids = st.sampled_from([f"doc_{number}" for number in range(7)])
collections = st.dictionaries(document_ids, fields, max_size=7)

PAYLOAD_PATHS = ("text", "year", "payload.year", "about.year", "tags", "payload.score")
ROOT_PATHS = ("document_id", "collection_id", "score")
paths = st.sampled_from(PAYLOAD_PATHS + ROOT_PATHS)
conditions = st.one_of(
    st.builds(
        lambda path, operator, value: {"field": path, "operator": operator, "value": value},
        paths,
        st.sampled_from(["eq", "ne", "gt", "lte"]),
        st.sampled_from([0, 1, 0.5, "a", "trains", "doc_3", "col_1"]),
    ),
    st.builds(
        lambda path, given: {"field": path, "operator": "exists", "value": given}, paths, st.booleans()
    ),
    st.builds(
        lambda path, values: {"field": path, "operator": "in", "value": values},
        paths,
        st.lists(st.sampled_from([0, 1, "a", "doc_1", "doc_2", "col_2"]), max_size=3),
    ),
)
trees = st.recursive(
    conditions,
    lambda inner: st.builds(
        lambda word, children: {word: children},
        st.sampled_from(["AND", "OR", "NOT"]),
        st.lists(inner, min_size=1, max_size=2),
    ),
    max_leaves=3,
)

filter_stages = st.builds(
    lambda tree, insensitive: {"conditions": tree, "case_insensitive": insensitive}, trees, st.booleans()
).map(lambda parameters: stage("", "attribute_filter", **parameters))
directions = st.sampled_from(["asc", "desc"])
sort_stages = st.one_of(
    st.builds(
        lambda field, direction, nulls_last: stage(
            "", "sort_attribute", field=field, direction=direction, nulls_last=nulls_last
        ),
        paths,
        directions,
        st.booleans(),
    ),
    st.builds(
        lambda field, direction, missing: stage(
            "", "sort_relevance", score_field=field, direction=direction, missing_score=missing
        ),
        paths,
        directions,
        st.sampled_from(["bottom", "top", "preserve"]),
    ),
)


@st.composite
def search_stages(draw: st.DrawFn) -> dict[str, Any]:
    one = {
        "feature_uri": "text",
        "lexical": True,
        "query": {"value": draw(texts.filter(bool))},
        "top_k": draw(st.integers(1, 5)),
        "min_score": draw(st.sampled_from([None, 0.02, 0.05, 1])),
    }
    made = stage("", "feature_search", searches=[one], final_top_k=draw(st.integers(1, 5)))
    return {**made, "pre_filters": draw(st.none() | trees)}


@st.composite
def definitions(draw: st.DrawFn) -> list[dict[str, Any]]:
    stages = [
        *draw(st.lists(filter_stages, max_size=2)),
        *draw(st.lists(sort_stages, max_size=1)),
        *draw(st.lists(search_stages(), max_size=1)),
        *draw(st.lists(filter_stages, max_size=2)),
        *draw(st.lists(sort_stages, max_size=1)),
        *draw(st.lists(st.one_of(filter_stages, search_stages()), max_size=1)),
    ]
    return [{**each, "stage_name": f"stage {index}"} for index, each in enumerate(stages)]


def result(execution: Mapping[str, Any]) -> tuple[str, Any, list[tuple[str, str, float]]]:
    """How it ended and its documents in order, with scores."""
    found = [(each["collection_id"], each["document_id"], each["score"]) for each in execution["documents"]]
    return execution["status"], execution["error"], found


@given(
    st.lists(collections, min_size=1, max_size=3),
    st.lists(definitions(), min_size=1, max_size=6),
    st.none() | trees,
)
@settings(max_examples=40, deadline=None, phases=[Phase.reuse, Phase.generate])  # shrinking takes minutes
def test_the_engine_and_the_stages_agree(
    store: DocumentStore,
    contents: list[dict[str, dict[str, Any]]],
    pipelines: list[list[dict[str, Any]]],
    filters: dict[str, Any] | None,
) -> None:
    refs = [f"col_{number}" for number in range(1, len(contents) + 1)]
    for collection_id, documents in zip(refs, contents, strict=True):
        fill(store, collection_id, documents)
    for stages in pipelines:
        pushed_down = execute(store, stages, refs, filters=filters)
        in_memory = execute(store, [FETCH_ALL, *stages], refs, filters=filters)
        assert result(pushed_down) == result(in_memory), stages


@given(
    st.lists(collections, min_size=1, max_size=2),
    st.lists(definitions(), min_size=1, max_size=4),
    st.none() | trees,
)
@settings(max_examples=25, deadline=None, phases=[Phase.reuse, Phase.generate])
def test_a_run_that_goes_on_from_a_checkpoint_ends_the_same(
    store: DocumentStore,
    contents: list[dict[str, dict[str, Any]]],
    pipelines: list[list[dict[str, Any]]],
    filters: dict[str, Any] | None,
) -> None:
    refs = [f"col_{number}" for number in range(1, len(contents) + 1)]
    for collection_id, documents in zip(refs, contents, strict=True):
        fill(store, collection_id, documents)
    for stages in pipelines:
        run = PrivateRun(claim(refs, filters=filters))
        whole = execute(store, [FETCH_ALL, *stages], refs, run=run)
        for state in run.states:
            resumed = execute(store, [FETCH_ALL, *stages], refs, filters=filters, left_behind=state)
            assert result(resumed) == result(whole), stages
            assert counted(resumed) == counted(whole)
            assert resumed["documents"] == whole["documents"]


def counted(execution: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the books say, but for times."""
    stages = {
        name: {key: value for key, value in entry.items() if key != "duration_ms"}
        for name, entry in execution["stage_statistics"]["stages"].items()
    }
    told = (execution["warnings"], execution["interpretation"], execution["degraded"])
    return stages, execution["stage_statistics"]["credits_used"], execution["completed"], told
