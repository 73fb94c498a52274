"""feature_search on real collections: each kind of query, several at once, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from shared import clock
from shared.documents import CollectionRef, DocumentStore, DocumentWrite, TextEmbedding
from shared.models.execution import Page
from tests.unit.workers.alone import refused_when_rendered, refused_when_saved
from tests.unit.workers.pipelines import NAMESPACE, execute, stage
from workers.stages.feature_search import FeatureSearch

MODEL = "letters"
FEATURE = f"mixpeek://text_extractor@v1/{MODEL}"
ANIMALS = {
    "ant": {"text": "a a a b", "kind": "insect", "legs": 6},
    "bee": {"text": "b b b a", "kind": "insect", "legs": 6},
    "cat": {"text": "c c a", "kind": ["mammal", "pet"], "legs": 4},
    "dog": {"text": "d d c", "kind": ["mammal", "pet"], "legs": 4},
}


def letters(text: str) -> list[float]:
    """How often it says a, b, c, d."""
    return [float(text.count(letter)) for letter in "abcd"]


class Letters:
    """Embeds by counting letters; notes the collections that were waited for."""

    def __init__(self) -> None:
        self.waited: list[str] = []

    def embed_query(self, model: str, text: str, task: str) -> Sequence[float] | None:
        assert (model, task) == (MODEL, "retrieval_query")
        vector = letters(text)
        return vector if any(vector) else None

    def wait_for(self, ref: CollectionRef, check: Callable[[], None]) -> None:
        self.waited.append(ref.collection_id)


def embed_all(store: DocumentStore, ref: CollectionRef) -> None:
    texts = store.pending_texts(ref, 100, now_ms=clock.now_ms())
    store.store_embeddings(ref, [(text, letters(text.text)) for text in texts])


def collection(store: DocumentStore, name: str, documents: dict[str, dict[str, Any]], **vectors: Any) -> None:
    ref = CollectionRef(NAMESPACE, name)
    store.drop_collection(ref)
    store.create_collection(ref, TextEmbedding(MODEL, 4))
    writes = [DocumentWrite(each, fields, vectors.get(each, {})) for each, fields in documents.items()]
    store.upsert(ref, writes)
    embed_all(store, ref)


@pytest.fixture
def animals(store: DocumentStore) -> DocumentStore:
    collection(store, "col_animals", ANIMALS, ant={"own": [1.0, 0.0]}, bee={"own": [0.0, 1.0]})
    return store


def near(text: str = "a", **over: Any) -> dict[str, Any]:
    return {"feature_uri": FEATURE, "query": {"input_mode": "text", "value": text}, **over}


def words(text: str = "a", **over: Any) -> dict[str, Any]:
    return near(text, lexical=True, **over)


def run(
    store: DocumentStore, *searches: dict[str, Any], refs: Sequence[str] = ("col_animals",), **parameters: Any
) -> dict[str, Any]:
    request = {name: parameters.pop(name) for name in ("filters", "inputs") if name in parameters}
    search = stage("search", "feature_search", searches=list(searches), **parameters)
    return execute(store, [search], refs, embeddings=Letters(), **request)


def ids(execution: dict[str, Any]) -> list[str]:
    assert execution["error"] is None
    return [each["document_id"] for each in execution["documents"]]


def test_a_text_finds_what_is_near(animals: DocumentStore) -> None:
    found = run(animals, near("a"))
    assert ids(found) == ["ant", "cat", "bee", "dog"]
    assert [each["score"] for each in found["documents"]] == [0.948683, 0.447214, 0.316228, 0.0]
    assert found["documents"][0]["payload"]["legs"] == 6
    assert found["completeness"] == {"embeddings": "complete", "page": "complete", "overall": "complete"}


@pytest.mark.parametrize(
    "feature", [MODEL, "mixpeek://text_extractor@v1",
                "mixpeek://text_extractor@v1/multilingual_e5_large_instruct_v1"]
)  # fmt: skip
def test_the_feature_may_be_named_in_several_ways(animals: DocumentStore, feature: str) -> None:
    assert ids(run(animals, near("d", feature_uri=feature), final_top_k=1)) == ["dog"]


@pytest.mark.parametrize("name", ["value", "vector"])
def test_a_vector_or_several_of_which_the_nearest_counts(animals: DocumentStore, name: str) -> None:
    one = {"feature_uri": FEATURE, "query": {"input_mode": "vector", name: [0, 0, 0, 2.5]}}
    assert ids(run(animals, one, final_top_k=2)) == ["dog", "ant"]
    two = {"feature_uri": FEATURE, "query": {"input_mode": "vector", name: [[0, 0, 0, 1], [1, 0, 0, 0]]}}
    assert ids(run(animals, two, final_top_k=2)) == ["ant", "dog"]


def test_a_document_finds_its_neighbours_and_itself(animals: DocumentStore) -> None:
    reference = {"collection_id": "col_animals", "document_id": "cat"}
    query = {"input_mode": "document", "document_ref": reference}
    found = run(animals, {"feature_uri": FEATURE, "query": query})
    assert ids(found)[:2] == ["cat", "ant"]
    assert found["documents"][0]["score"] == 1.0


def test_the_callers_own_vectors(animals: DocumentStore) -> None:
    own = {"feature_uri": "own", "query": {"input_mode": "vector", "value": [0.0, 3.0]}}
    assert ids(run(animals, own)) == ["bee", "ant"]


def test_words_and_vectors_are_fused(animals: DocumentStore) -> None:
    found = run(animals, words("d"), near("c"))
    # by words: dog; by vector: cat, dog, then ant and bee
    assert ids(found) == ["dog", "cat", "ant", "bee"]
    assert found["documents"][0]["score"] == round(1 / 61 + 1 / 62, 9)
    weighted = run(animals, words("d", weight=0.2), near("c", weight=0.8), fusion="weighted")
    assert ids(weighted) == ["cat", "dog", "ant", "bee"]
    assert weighted["documents"][0]["score"] == 0.8
    assert weighted["stage_statistics"]["stages"]["search"]["output_count"] == 4


def test_each_search_has_its_own_cut_score_and_filter(animals: DocumentStore) -> None:
    assert ids(run(animals, near("a", top_k=1), near("d", top_k=1))) == ["ant", "dog"]
    assert ids(run(animals, near("a", min_score=0.4))) == ["ant", "cat"]
    pets = {"field": "kind", "operator": "contains", "value": "pet"}
    assert ids(run(animals, near("a", pre_filters=pets))) == ["cat", "dog"]
    mixed = run(animals, near("a", pre_filters=pets, top_k=1), near("a", top_k=1))
    assert ids(mixed) == ["ant", "cat"]


def test_filters_of_a_search_may_use_inputs_and_fall_away_without_them(animals: DocumentStore) -> None:
    by_input = {"field": "legs", "operator": "eq", "value": "{{INPUT.legs}}"}
    assert ids(run(animals, near("a", pre_filters=by_input), inputs={"legs": 4})) == ["cat", "dog"]
    without = run(animals, near("a", pre_filters=by_input))
    assert len(ids(without)) == 4
    assert without["interpretation"]["relaxations"] == [
        "condition on 'legs' dropped: its input was not given"
    ]


@pytest.mark.parametrize(
    "query",
    [{"value": ""}, {"value": "  "}, {"value": None}, {}, {"input_mode": "vector", "value": []}],
)
def test_an_empty_query_fails_is_left_out_or_draws_lots(
    animals: DocumentStore, query: dict[str, Any]
) -> None:
    empty = near(query=query)
    failed = run(animals, empty)
    assert failed["status"] == "failed"
    assert "search 0" in failed["error"] and "the query is empty" in failed["error"]
    skipped = run(animals, {**empty, "on_empty": "skip"}, near("d", top_k=1))
    assert ids(skipped) == ["dog"]
    assert skipped["warnings"] == [f"search 0 ({FEATURE}) was left out: its query is empty"]
    assert ids(run(animals, {**empty, "on_empty": "skip"})) == []
    drawn = run(animals, {**empty, "on_empty": "random", "top_k": 3})
    assert len(set(ids(drawn))) == 3
    assert ids(drawn) == ids(run(animals, {**empty, "on_empty": "random", "top_k": 3}))


def test_a_filter_behind_random_documents_drops_some_of_them(animals: DocumentStore) -> None:
    stages = [
        stage("lots", "feature_search", searches=[near("", on_empty="random")]),
        stage("insects", "attribute_filter", field="kind", operator="eq", value="insect"),
    ]
    found = execute(animals, stages, ["col_animals"], embeddings=Letters())
    assert sorted(ids(found)) == ["ant", "bee"]
    assert found["stage_statistics"]["stages"]["lots"]["output_count"] == 4


def test_a_dynamic_value_needs_no_template_beside_it(animals: DocumentStore) -> None:
    legs = {"field": "legs", "operator": "eq", "value": {"type": "dynamic", "field": "inputs.legs"}}
    assert ids(run(animals, near("c", pre_filters=legs), inputs={"legs": 4})) == ["cat", "dog"]
    relaxed = run(animals, near("c", pre_filters=legs))
    assert ids(relaxed) == ["cat", "dog", "ant", "bee"]
    assert relaxed["interpretation"]["relaxations"] == [
        "condition on 'legs' dropped: its input was not given"
    ]


def test_a_query_that_says_nothing_to_the_model_finds_nothing(animals: DocumentStore) -> None:
    assert ids(run(animals, near("zzz"))) == []


def test_an_unknown_feature_fails_or_is_optional(animals: DocumentStore) -> None:
    failed = run(animals, near(feature_uri="mixpeek://image_extractor@v1/clip"))
    assert failed["status"] == "failed"
    assert "no collection has vectors for the feature" in failed["error"]
    assert "letters, own" in failed["error"]
    optional = run(animals, near(feature_uri="clip", optional=True), near("d", top_k=1))
    assert ids(optional) == ["dog"]
    assert "search 0 (clip) was left out: no collection has vectors" in optional["warnings"][0]


def test_a_text_cannot_be_compared_with_the_callers_own_vectors(animals: DocumentStore) -> None:
    assert "send the query as input_mode vector" in run(animals, near(feature_uri="own"))["error"]


def test_a_query_of_other_dimensions_is_an_error(animals: DocumentStore) -> None:
    wrong = {"feature_uri": "own", "query": {"input_mode": "vector", "value": [1.0]}}
    assert "the query has 1 dimensions, the vectors 'own' have 2" in run(animals, wrong)["error"]


@pytest.mark.parametrize(
    ("document_id", "words_"), [("nope", "does not exist"), ("dog", "has no vector 'own'")]
)
def test_a_reference_to_nothing_is_an_error(animals: DocumentStore, document_id: str, words_: str) -> None:
    reference = {"collection_id": "col_animals", "document_id": document_id}
    query = {"input_mode": "document", "document_ref": reference}
    assert words_ in run(animals, {"feature_uri": "own", "query": query})["error"]


def test_several_collections_compare_vectors_by_score_and_words_by_rank(animals: DocumentStore) -> None:
    collection(animals, "col_more", {"eel": {"text": "a"}, "fox": {"text": "c d"}})
    both = ("col_animals", "col_more")
    found = run(animals, near("a"), refs=both)
    assert ids(found) == ["eel", "ant", "cat", "bee", "dog", "fox"]
    assert found["documents"][0]["score"] == 1.0
    assert [each["score"] for each in run(animals, words("a"), refs=both)["documents"]][:2] == [
        round(1 / 61, 9), round(1 / 61, 9),
    ]  # fmt: skip
    narrowed = run(animals, near("a", collection_identifiers=["col_more"]), near("b", top_k=1), refs=both)
    assert ids(narrowed) == ["bee", "eel", "fox"]
    assert ids(run(animals, near("a"), refs=both, collection_identifiers=["col_more"])) == ["eel", "fox"]


def test_a_collection_without_the_vectors_is_named(animals: DocumentStore) -> None:
    ref = CollectionRef(NAMESPACE, "col_plain")
    animals.drop_collection(ref)
    animals.create_collection(ref)
    found = run(animals, near("a"), refs=("col_animals", "col_plain"))
    assert len(ids(found)) == 4
    assert found["warnings"] == [f"search 0 ({FEATURE}): collection col_plain has no such vectors"]


def test_what_waits_for_its_embedding_is_told(store: DocumentStore) -> None:
    collection(store, "col_late", ANIMALS)
    store.upsert(CollectionRef(NAMESPACE, "col_late"), [DocumentWrite("new", {"text": "a"})])
    found = run(store, near("a"), refs=["col_late"])
    assert ids(found)[0] == "ant"
    assert found["completeness"] == {"embeddings": "partial", "page": "complete", "overall": "partial"}
    assert found["stage_statistics"]["stages"]["search"]["metadata"]["awaiting_embedding"] == 1
    assert "completeness" not in run(store, words("a"), refs=["col_late"])


def test_facets_count_the_whole_filtered_set(animals: DocumentStore) -> None:
    facets = [{"key": "kind"}, {"key": "legs", "limit": 1}]
    four = {"field": "legs", "operator": "eq", "value": 4}
    found = run(animals, near("a"), facets=facets, final_top_k=1)
    expected = [
        {"key": "kind", "values": [{"value": v, "count": 2} for v in ("insect", "mammal", "pet")]},
        {"key": "legs", "values": [{"value": 4, "count": 2}]},
    ]
    assert found["facets"] == expected
    assert found["stage_statistics"]["stages"]["search"]["metadata"]["facets"] == expected
    narrowed = run(animals, near("a"), facets=facets, filters=four)
    assert narrowed["facets"][1] == {"key": "legs", "values": [{"value": 4, "count": 2}]}
    assert run(animals, facets=[{"key": "legs"}], filters=four)["facets"] == [
        {"key": "legs", "values": [{"value": 4, "count": 2}]}
    ]


def test_facets_of_several_collections_are_added_up(animals: DocumentStore) -> None:
    collection(animals, "col_more", {"eel": {"text": "a", "legs": 0}, "fox": {"text": "c", "legs": 4}})
    found = run(animals, near("a"), refs=("col_animals", "col_more"), facets=[{"key": "legs", "limit": 2}])
    assert found["facets"] == [
        {"key": "legs", "values": [{"value": 4, "count": 3}, {"value": 6, "count": 2}]}
    ]


def test_facets_too_large_for_the_statistics_are_refused(animals: DocumentStore) -> None:
    collection(animals, "col_long", {str(n): {"text": "a", "long": f"{n}" * 400_000} for n in range(3)})
    failed = run(animals, refs=["col_long"], facets=[{"key": "long"}])
    assert "the facets have 1,200," in failed["error"] and "lower their limits" in failed["error"]
    assert run(animals, refs=["col_long"], facets=[{"key": "long", "limit": 2}])["status"] == "completed"


def test_groups_of_the_result(animals: DocumentStore) -> None:
    first = run(animals, near("a"), group_by={"field": "legs", "output_mode": "first"})
    assert ids(first) == ["ant", "cat"]
    flat = run(animals, near("a"), group_by={"field": "legs", "output_mode": "flatten", "max_per_group": 2})
    assert ids(flat) == ["ant", "bee", "cat", "dog"]
    rows = run(animals, near("a"), group_by={"field": "legs", "limit": 1})["documents"]
    assert [(row["group_key"], row["count"], len(row["documents"])) for row in rows] == [(6, 2, 1)]
    by_legs = {"field": "legs", "output_mode": "first"}
    behind = [
        stage("insects", "attribute_filter", field="kind", operator="eq", value="insect"),
        stage("best", "sort_attribute", field="legs"),
        stage("groups", "feature_search", searches=[near("a")], group_by=by_legs),
    ]
    assert ids(execute(animals, behind, ["col_animals"], embeddings=Letters())) == ["ant"]


def test_behind_another_stage_it_searches_among_its_documents(animals: DocumentStore) -> None:
    stages = [
        stage("best", "sort_attribute", field="legs", direction="asc"),
        stage("keep", "feature_search", searches=[near("d", top_k=2)], final_top_k=2),
        stage("again", "feature_search", searches=[words("c"), near("a")]),
    ]
    assert ids(execute(animals, stages, ["col_animals"], embeddings=Letters())) == ["dog", "ant"]


def test_the_vectors_are_as_fresh_as_was_asked(animals: DocumentStore) -> None:
    embeddings = Letters()
    for search, waited in ((words("a"), []), (near("a"), ["col_animals"])):
        stages = [stage("search", "feature_search", searches=[search])]
        execute(animals, stages, ["col_animals"], embeddings=embeddings)
        assert embeddings.waited == waited


def test_a_document_deleted_between_ranking_and_reading_is_left_out(
    animals: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = CollectionRef(NAMESPACE, "col_animals")
    get = animals.get

    def delete_first(ref: CollectionRef, document_ids: Sequence[str]) -> Any:
        animals.delete(ref, ["ant"])
        return get(ref, document_ids)

    monkeypatch.setattr(animals, "get", delete_first)
    assert ids(run(animals, near("a"), words("a"))) == ["bee", "cat", "dog"]
    assert animals.count(ref) == 3


def test_the_querys_own_document_is_waited_for(animals: DocumentStore) -> None:
    collection(animals, "col_pets", {"rex": {"text": "d"}})
    embeddings = Letters()
    by_document = {
        "input_mode": "document",
        "document_ref": {"collection_id": "col_pets", "document_id": "rex"},
    }
    stages = [stage("search", "feature_search", searches=[near(query=by_document, top_k=1)])]
    assert ids(execute(animals, stages, ["col_animals"], embeddings=embeddings)) == ["dog"]
    assert embeddings.waited == ["col_animals", "col_pets"]


def test_a_search_that_fails_behind_a_filter_is_the_one_named(animals: DocumentStore) -> None:
    stages = [
        stage("pets", "attribute_filter", field="kind", operator="eq", value="pet"),
        stage("search", "feature_search", searches=[near(query={"input_mode": "vector", "value": [1.0]})]),
    ]
    failed = execute(animals, stages, ["col_animals"], embeddings=Letters())
    assert failed["error"] == (
        "stage 'search' (index 1, feature_search) failed: "
        "the query has 1 dimensions, the vectors 'letters' have 4"
    )


def test_a_wait_for_vectors_ends_with_the_time_of_the_run(animals: DocumentStore) -> None:
    class Waiting(Letters):
        def wait_for(self, ref: CollectionRef, check: Callable[[], None]) -> None:
            while True:
                check()

    stages = [stage("search", "feature_search", searches=[near()])]
    failed = execute(animals, stages, ["col_animals"], embeddings=Waiting(), max_time_ms=20)
    assert failed["error"].startswith("max_time_ms exceeded: ")


def test_vectors_and_markers_of_collections_that_only_the_stage_names(animals: DocumentStore) -> None:
    collection(animals, "col_twins", {"ant": {"text": "a"}})
    stages = [
        stage(
            "search",
            "feature_search",
            searches=[near("a", top_k=3)],
            collection_identifiers=["col_animals", "col_twins"],
        )
    ]
    request = {"return_vectors": True, "page": Page("keyset", 2)}
    found = execute(animals, stages, ["col_animals"], embeddings=Letters(), **request)
    assert [each["payload"][MODEL] for each in found["documents"]] == [letters("a"), letters("aaab")]
    assert found["pagination"]["next_cursor"]["collection_id"] == "col_animals"


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({"searches": [near()] * 11}, "searches"),
        ({"searches": [{"feature_uri": "x"}]}, "searches[0].query"),
        ({"searches": [near(weight=1.5)]}, "searches[0].weight"),
        ({"searches": [near(top_k=0)]}, "searches[0].top_k"),
        ({"searches": [near(on_empty="maybe")]}, "searches[0].on_empty"),
        ({"searches": [near(query={"input_mode": "content", "value": "x"})]}, "searches[0].query.input_mode"),
        ({"searches": [words(query={"input_mode": "vector", "value": [1]})]}, "searches[0].query.input_mode"),
        ({"searches": [near(query={"input_mode": "document"})]}, "searches[0].query.document_ref"),
        ({"searches": [near(query_preprocessing={"max_chunks": 3})]}, "searches[0].query_preprocessing"),
        ({"fusion": "learned"}, "fusion"),
        ({"facets": [{"key": "a", "limit": 0}]}, "facets[0].limit"),
        ({"group_by": {"field": "a", "limit": 501}}, "group_by.limit"),
        ({"group_by": {}}, "group_by.field"),
        ({"collection_identifiers": []}, "collection_identifiers"),
        ({"cache_behavior": "aggressive"}, "cache_behavior"),
        ({"final_top_k": 5001}, "final_top_k"),
    ],
)
def test_what_is_refused_when_saved_and_when_rendered(parameters: dict[str, Any], place: str) -> None:
    assert list(refused_when_saved(FeatureSearch, parameters)) == [place]
    assert refused_when_rendered(FeatureSearch, parameters)


def test_templates_stand_for_values_and_are_checked_in_filters() -> None:
    templated = near(top_k="{{INPUT.k}}", query={"input_mode": "vector", "value": "{{INPUT.embedding}}"})
    assert refused_when_saved(FeatureSearch, {"searches": [templated], "final_top_k": "{{INPUT.k}}"}) == {}
