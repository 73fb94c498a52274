"""A filter tree over a history, split into the list of a status and what is looked for in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.services.executions.history_filter import Wanted, wanted_of
from shared.filters import compile_predicate, parse_filter
from shared.models.document import Document
from shared.models.execution import Status

OTHER = {"field": "total_returned", "operator": "gt", "value": 0}


def is_status(value: Any, operator: str = "eq") -> dict[str, Any]:
    return {"field": "status", "operator": operator, "value": value}


def split(tree: Any, status: Status | None = None, *, case_insensitive: bool = True) -> Wanted:
    return wanted_of(parse_filter(tree, case_insensitive=case_insensitive), status)


@pytest.mark.parametrize(
    "tree",
    [
        {"status": "failed"},
        {"status": "FAILED"},
        is_status("failed"),
        {"AND": [is_status("failed")]},
        {"OR": [{"AND": [is_status("failed")]}]},
        {"AND": [{"AND": [is_status("failed")]}, {"status": "failed"}]},
    ],
)
def test_a_tree_that_asks_for_one_status_is_its_list(tree: Any) -> None:
    assert split(tree) == split(None, Status.FAILED) == Wanted(Status.FAILED, None)


@pytest.mark.parametrize(
    "tree",
    [
        OTHER,
        is_status("failed", "ne"),
        is_status(["failed"], "in"),
        is_status("done"),
        is_status(None),
        {"OR": [is_status("failed"), OTHER]},
        {"NOT": [is_status("failed")]},
    ],
)
def test_every_other_tree_is_looked_for_among_all(tree: Any) -> None:
    wanted = split(tree)
    assert (wanted.status, wanted.rest is None) == (None, False)


def test_case_matters_where_it_was_asked_for() -> None:
    assert split({"status": "FAILED"}, case_insensitive=False).status is None


def test_what_stands_beside_the_status_is_looked_for_in_its_list() -> None:
    assert split({"AND": [OTHER, is_status("failed")]}) == split(OTHER, Status.FAILED)


leaves = st.one_of(
    st.sampled_from([*Status, "done", "FAILED"]).map(is_status),
    st.sampled_from([OTHER, is_status("failed", "ne"), is_status(["failed", "completed"], "in")]),
)
trees = st.recursive(
    leaves,
    lambda inner: st.builds(
        lambda group, parts: {group: parts},
        st.sampled_from(["AND", "OR", "NOT"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


@given(trees, st.none() | st.sampled_from(Status), st.sampled_from(Status), st.booleans())
def test_both_parts_together_mean_the_tree(
    tree: Any, asked: Status | None, status: Status, returned: bool
) -> None:
    line = Document("exec_1", "", payload={"status": status, "total_returned": int(returned)})
    whole = parse_filter(tree, case_insensitive=True)
    assert whole is not None
    wanted = wanted_of(whole, asked)
    listed = wanted.status in (None, status)
    found = listed and (wanted.rest is None or compile_predicate(wanted.rest)(line))
    assert found == (asked in (None, status) and compile_predicate(whole)(line))
