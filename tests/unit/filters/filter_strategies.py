"""Random documents, filters and sort keys, dense enough that they meet each other often."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from geo_strategies import boxes, circles, polygons, spelled_points
from hypothesis import strategies as st

from shared.filters.ast import And, Condition, Filter, Not, Or
from shared.filters.sort import SortKey

# Few keys, so that random paths exist in random documents; some need quoting in SQL.
KEYS = ["a", "b", "c", 'quo"te', "back\\slash", "naïve", "a b", "$", "0", "1", "payload", "it's"]
UNREACHABLE_KEYS = ["a.b", "", "nul\x00", "new\nline"]

keys = st.sampled_from([*KEYS[:3], *KEYS, *UNREACHABLE_KEYS])
texts = st.one_of(
    st.sampled_from(
        [
            "",
            "x",
            "X",
            "abc",
            "ABC",
            "aBc d",
            "Straße",
            "STRASSE",
            "İstanbul",
            "ſun",
            "SUN",
            "K",
            "k",
            "ΣΑΣ",
            "σας",
        ]
    ),
    st.sampled_from(
        [
            "a\x00b",
            "\x00",
            "it's",
            '"',
            "%_*?[",
            "1",
            "true",
            "null",
            "[1]",
            "😀",
            "running dogs",
            "The Dog runs.",
        ]
    ),
    st.text(max_size=6),
)
numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.0, -0.0, 1.0, 0.5, 1e300, -1e300, 5e-324, 1e308, 2**53, 2**53 + 1, float(2**53)]),
    st.sampled_from([2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1, -(2**63), float(2**63), 0.1 + 0.2, 0.3]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**64 - 1),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    st.one_of(scalars, scalars, spelled_points),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=5,
)
payloads = st.dictionaries(keys, values, max_size=5)

paths = st.lists(st.sampled_from([*KEYS[:3], *KEYS]), min_size=1, max_size=3).map(".".join)
patterns = st.sampled_from(
    ["", "a", "^a.*c$", "[A-Z]+", r"\d", "(?i)sTr", r"\bdog\b", "ß|ss", ".", r"^\x00$", "x{2,3}"]
)


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    operator = draw(st.sampled_from(sorted(_VALUES)))
    return Condition(draw(paths), operator, draw(_VALUES[operator]), draw(st.booleans()))


_comparables = st.one_of(numbers, texts)
_lists: st.SearchStrategy[Any] = st.lists(scalars, max_size=4)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("eq", "ne"), scalars),
    **dict.fromkeys(("gt", "gte", "lt", "lte"), _comparables),
    **dict.fromkeys(("in", "nin"), _lists),
    **dict.fromkeys(("exists", "is_null"), st.booleans()),
    **dict.fromkeys(("starts_with", "ends_with", "text", "phrase", "words"), texts),
    "contains": st.one_of(st.booleans(), numbers, texts),
    "regex": patterns,
    "geo_radius": circles.map(itemgetter(1)),
    "geo_bounding_box": boxes.map(itemgetter(1)),
    "geo_polygon": polygons.map(itemgetter(1)),
}

filters: st.SearchStrategy[Filter] = st.recursive(
    conditions(),
    lambda inner: st.builds(
        lambda group, children: group(tuple(children)),
        st.sampled_from([And, Or, Not]),
        st.lists(inner, max_size=3),
    ),
    max_leaves=6,
)

# Sorts compare one value per document: few fields of all types say more than many fields.
_flat = st.one_of(scalars, st.lists(scalars, max_size=2))
_nested = st.dictionaries(st.sampled_from("ab0"), scalars, max_size=2)
_mapped = st.fixed_dictionaries({"a": st.lists(st.dictionaries(st.just("b"), scalars), max_size=2)})
sortable = st.dictionaries(st.sampled_from("ab"), st.one_of(_flat, _nested), max_size=2) | _mapped
sort_keys = st.lists(
    st.builds(
        SortKey,
        st.sampled_from(["a", "b", "a.b", "a.0", "b.a"]),
        st.sampled_from(["asc", "desc"]),
        st.booleans(),
    ),
    max_size=3,
)
