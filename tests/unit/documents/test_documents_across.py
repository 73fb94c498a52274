"""Several collections as one: the order and the pages that one list in memory would have."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.documents import CollectionRef, DocumentStore, DocumentWrite
from shared.documents.across import Place, iterate_across, select_across
from shared.documents.grouping import group_page
from shared.documents.sqlite.store import SqliteDocumentStore
from shared.errors import BadRequest, InvalidInput
from shared.filters import Condition, SortKey, sort_documents
from shared.models.document import Document

REFS = [CollectionRef("ns_test", f"col_{name}") for name in "abc"]
fields = st.fixed_dictionaries(
    {}, optional={"a": st.sampled_from([None, 1, 1.0, 2, "x", True, [1, 2]]), "keep": st.booleans()}
)
# Few ids, so that collections share them.
contents = st.lists(
    st.dictionaries(st.sampled_from(["d0", "d1", "d2", "d3"]), fields), min_size=3, max_size=3
)
sorts = st.sampled_from(
    [(), (SortKey("a"),), (SortKey("a", "desc"),), (SortKey("keep", "desc", False), SortKey("a"))]
)


def filled(directory: str, parts: list[dict[str, Any]]) -> DocumentStore:
    store = SqliteDocumentStore(Path(directory))
    for ref, part in zip(REFS, parts, strict=True):
        store.create_collection(ref)
        store.upsert(ref, [DocumentWrite(document_id, each) for document_id, each in part.items()])
    return store


def names(documents: list[Document]) -> list[tuple[str, str]]:
    return [(each.document_id, each.collection_id) for each in documents]


@settings(max_examples=40)
@given(contents, sorts, st.integers(1, 4), st.integers(0, 3))
def test_pages_are_those_of_one_sorted_list(
    parts: list[dict[str, Any]], sort: Any, limit: int, offset: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = filled(directory, parts)
        every = [document for ref in REFS for document in store.select(ref, limit=9)]
        # Stable sorts: those that tie stay in the order of ids, then of collections.
        expected = names(sort_documents(every, sort))
        found = select_across(store, REFS, where=None, sort=sort, limit=limit, offset=offset)
        assert names(found) == expected[offset : offset + limit]
        seen: list[Document] = []
        place = None
        for _ in range(len(expected) + 1):
            page = select_across(store, REFS, where=None, sort=sort, limit=limit, after=place)
            seen += page
            if not page:
                break
            place = Place.of(page[-1], sort)
        assert names(seen) == expected
        read = iterate_across(store, REFS, where=Condition("keep", "eq", True), sort=sort, read_ahead=1)
        kept = {(each.document_id, each.collection_id) for each in every if each.payload.get("keep") is True}
        assert names(list(read)) == [name for name in expected if name in kept]


def test_a_filter_holds_for_the_twin_of_the_last_document_too(tmp_path: Path) -> None:
    store = filled(str(tmp_path), [{"d": {"keep": True}}, {"d": {"keep": False}}, {"d": {"keep": True}}])
    where = Condition("keep", "eq", True)
    [first] = select_across(store, REFS, where=where, sort=(), limit=1)
    rest = select_across(store, REFS, where=where, sort=(), limit=9, after=Place.of(first, ()))
    assert names([first, *rest]) == [("d", "col_a"), ("d", "col_c")]


def test_a_place_of_another_sort_is_refused(tmp_path: Path) -> None:
    store = filled(str(tmp_path), [{"d": {}}, {}, {}])
    place = Place.of(store.get(REFS[0], ["d"])[0], ())
    with pytest.raises(BadRequest):
        select_across(store, REFS, where=None, sort=[SortKey("a")], limit=1, after=place)


def group_names(value: Any) -> list[Any]:
    """The groups that a value is in; true and 1 are two."""
    elements = value if isinstance(value, list) else [value]
    return [(isinstance(each, bool), each) for each in elements]


@settings(max_examples=30)
@given(contents, st.integers(1, 3), st.integers(1, 3))
def test_groups_agree_with_a_reference_page_by_page(
    parts: list[dict[str, Any]], limit: int, per_group: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = filled(directory, parts)
        expected: dict[Any, list[tuple[str, str]]] = {}
        for document in iterate_across(store, REFS, where=None, sort=()):
            for name in group_names(document.payload.get("a")):
                expected.setdefault(name, []).extend(names([document]))
        seen: dict[Any, Any] = {}
        order: list[Any] = []
        for _ in range(len(expected) + 1):
            page = group_page(
                store,
                REFS,
                "a",
                where=None,
                sort=(),
                limit=limit,
                per_group=per_group,
                after=order[-1] if order else None,
            )
            assert (page.total, page.members) == (len(expected), sum(map(len, expected.values())))
            for group in page.groups:
                [name] = group_names(group.value)
                seen[name] = (group.count, names(group.documents))
                order.append(group.key)
            if not page.more:
                break
        assert seen == {name: (len(group), group[:per_group]) for name, group in expected.items()}
        assert order == sorted(order)


def test_too_many_groups_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shared.documents.grouping.GROUPS_MAX", 2)
    store = filled(str(tmp_path), [{"d": {"a": 1}}, {"d": {"a": 2}}, {"d": {"a": 3}}])
    arguments: dict[str, Any] = {"where": None, "sort": (), "limit": 9, "per_group": 1}
    assert group_page(store, REFS[:2], "a", **arguments).total == 2
    with pytest.raises(InvalidInput, match="over 2 groups"):
        group_page(store, REFS, "a", **arguments)
