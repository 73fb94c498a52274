"""Facet counts against a count by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.documents import CollectionRef, DocumentStore, DocumentWrite
from shared.filters import Condition
from shared.filters.paths import MISSING, resolve

SCALARS = st.sampled_from(["a", "b", "A", "", 1, 1.0, 2.5, True, False, None])
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.sampled_from(["x", "y"]), SCALARS)
DOCUMENTS = st.lists(
    st.fixed_dictionaries(
        {"n": st.integers(0, 1)},
        optional={
            "f": VALUES,
            "o": st.dictionaries(st.sampled_from(["f"]), VALUES),
            "l": st.lists(st.dictionaries(st.sampled_from(["f"]), VALUES), max_size=2),
        },
    ),
    max_size=8,
)


def fill(store: DocumentStore, ref: CollectionRef, documents: list[dict[str, Any]]) -> None:
    store.drop_collection(ref)
    store.create_collection(ref)
    store.upsert(ref, [DocumentWrite(f"d{n}", fields) for n, fields in enumerate(documents)])


def _tagged(value: Any) -> tuple[str, Any]:
    """1 and 1.0 are one value, 1 and true are two."""
    return type(value).__name__.replace("int", "float"), value


def by_hand(documents: list[dict[str, Any]], path: str) -> Counter[tuple[str, Any]]:
    counts: Counter[tuple[str, Any]] = Counter()
    for document in documents:
        found = resolve(path, {}, document)
        values = found if isinstance(found, list) else [found]
        counts.update(
            {
                _tagged(value)
                for value in values
                if value is not MISSING and isinstance(value, str | int | float)
            }
        )
    return counts


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=DOCUMENTS, path=st.sampled_from(["f", "o.f", "l.f", "payload.f", "o", "missing"]))
def test_every_value_is_counted_once_for_a_document(
    store: DocumentStore, ref: CollectionRef, documents: list[dict[str, Any]], path: str
) -> None:
    fill(store, ref, documents)
    found = store.facet(ref, path, limit=100)
    assert {_tagged(value): count for value, count in found} == dict(by_hand(documents, path))
    counts = [count for _, count in found]
    assert counts == sorted(counts, reverse=True)


def test_the_filter_and_the_limit_cut(store: DocumentStore, ref: CollectionRef) -> None:
    fill(store, ref, [{"n": n, "tag": ["a", "b"] if n % 2 else "c"} for n in range(7)])
    assert store.facet(ref, "tag", limit=9) == [("c", 4), ("a", 3), ("b", 3)]
    assert store.facet(ref, "tag", where=Condition("n", "lt", 2), limit=2) == [("a", 1), ("b", 1)]
