"""Rows of a result: vectors in the payload, and the documents that a document refers to."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from shared.documents import CollectionRef, DocumentStore, DocumentWrite
from shared.models.document import Document
from shared.models.execution import ExecutionRequest, Page
from tests.unit.workers.pipelines import NAMESPACE, execute, fill, stage
from workers.execution.result_rows import EXPANDED_MAX, ResultRows

FAMILY = "col_family"
OTHERS = "col_others"
SORT = stage("sort", "sort_attribute", field="year", direction="asc")


@pytest.fixture(scope="module")
def family(store: DocumentStore) -> DocumentStore:
    """A few documents that refer to each other, one of them to many, and one with vectors."""
    fill(store, OTHERS, {"aunt": {"name": "Ann"}, "child": {"name": "another child"}})
    fill(
        store,
        FAMILY,
        {
            "child": {"year": 1, "parent": "mother", "meta": {"kin": ["aunt", "nobody", "mother", 5, None]}},
            "mother": {"year": 2, "parent": "unknown", "number": 7},
            "host": {"year": 3, "guests": [f"guest_{n}" for n in range(60)], "parent": "mother"},
            **{f"guest_{n}": {"year": 4 + n} for n in range(60)},
        },
    )
    ref = CollectionRef(NAMESPACE, FAMILY)
    store.upsert(
        ref,
        [DocumentWrite("mother", {"year": 2, "parent": "unknown", "number": 7}, vectors={"v": [0.5, 1.0]})],
    )
    return store


def rows(store: DocumentStore, *expand: str, **request: Any) -> dict[str, dict[str, Any]]:
    """Result documents by id."""
    seen = execute(store, [SORT], [FAMILY, OTHERS], expand=list(expand), **request)
    assert seen["status"] == "completed", seen["error"]
    return {each["document_id"]: each for each in seen["documents"] if each["collection_id"] == FAMILY}


def test_nothing_is_added_unasked(family: DocumentStore) -> None:
    assert rows(family)["child"].keys() == {"document_id", "collection_id", "score", "payload"}


def test_an_id_becomes_a_document_and_a_list_a_list(family: DocumentStore) -> None:
    expanded = rows(family, "parent", "meta.kin")["child"]["_expanded"]
    assert expanded.keys() == {"parent", "meta.kin"}
    assert (expanded["parent"]["document_id"], expanded["parent"]["year"]) == ("mother", 2)
    assert [(each["document_id"], each["collection_id"]) for each in expanded["meta.kin"]] == [
        ("aunt", OTHERS),
        ("mother", FAMILY),
    ]
    assert "_expanded" not in expanded["parent"]


def test_unknown_ids_and_what_is_no_id_are_left_out(family: DocumentStore) -> None:
    seen = rows(family, "parent", "number", "no_such_field")
    assert seen["mother"]["_expanded"] == {}
    assert seen["guest_1"]["_expanded"] == {}


def test_the_first_collection_that_has_an_id_wins(family: DocumentStore) -> None:
    fill(family, "col_pointer", {"pointer": {"to": "child"}})
    for collections, expected in (
        (["col_pointer", OTHERS, FAMILY], OTHERS),
        (["col_pointer", FAMILY, OTHERS], FAMILY),
    ):
        only = {"field": "document_id", "operator": "eq", "value": "pointer"}
        seen = execute(family, [SORT], collections, expand=["to"], filters=only)
        assert seen["documents"][0]["_expanded"]["to"]["collection_id"] == expected


def test_fifty_references_of_a_document_are_followed_and_the_cap_is_named(family: DocumentStore) -> None:
    seen = execute(family, [SORT], [FAMILY], expand=["guests", "parent"])
    host = next(each for each in seen["documents"] if each["document_id"] == "host")
    assert [each["document_id"] for each in host["_expanded"]["guests"]] == [f"guest_{n}" for n in range(50)]
    assert "parent" not in host["_expanded"]
    assert seen["limits"] == [
        {"name": "expand", "requested": 61, "applied": EXPANDED_MAX, "ceiling": EXPANDED_MAX}
    ]


def test_fifty_references_are_no_cap(family: DocumentStore) -> None:
    fill(family, "col_fifty", {"host": {"guests": ["host"] * 50}})
    seen = execute(family, [SORT], ["col_fifty"], expand=["guests"])
    assert len(seen["documents"][0]["_expanded"]["guests"]) == 50
    assert "limits" not in seen


def test_vectors_stand_at_the_root_of_the_payload(family: DocumentStore) -> None:
    seen = rows(family, return_vectors=True)
    assert seen["mother"]["payload"]["v"] == [0.5, 1.0]
    assert seen["mother"]["payload"]["number"] == 7
    assert "v" not in seen["child"]["payload"]
    assert "v" not in rows(family)["mother"]["payload"]


def test_every_page_of_the_result_has_them(family: DocumentStore) -> None:
    seen = execute(
        family, [SORT], [FAMILY], expand=["parent"], page=Page("offset", 1, 1), return_vectors=True
    )
    assert seen["documents"][0]["_expanded"] == {}
    assert seen["documents"][0]["payload"]["v"] == [0.5, 1.0]


def test_a_result_that_grows_over_its_limit_fails(family: DocumentStore) -> None:
    plain = sum(len(orjson.dumps(each)) for each in rows(family).values())
    seen = execute(family, [SORT], [FAMILY], expand=["guests"], result_max_bytes=plain)
    assert seen["status"] == "failed"
    assert f"over the limit of {plain:,}" in seen["error"]


def test_a_row_of_no_collection_has_no_vectors(family: DocumentStore) -> None:
    request = ExecutionRequest({}, [FAMILY], expand=["first"], return_vectors=True)
    writer = ResultRows(request, NAMESPACE, family, 10_000)
    (row,) = writer.write([Document("group", "", payload={"count": 3, "first": "mother"})])
    seen = orjson.loads(row)
    assert seen["payload"] == {"count": 3, "first": "mother"}
    assert seen["_expanded"]["first"]["document_id"] == "mother"
