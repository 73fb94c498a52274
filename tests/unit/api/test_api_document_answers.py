"""Answers made of stored documents."""

from __future__ import annotations

import orjson
import pytest

from api.schemas.documents import VectorChoice, VectorsQuery
from api.services.documents.answers import joined
from shared.errors import InvalidInput


@pytest.mark.parametrize("bodies", [[], [b"{}"], [b'{"a":1}', b"{}"]])
def test_bodies_are_joined_into_json(bodies: list[bytes]) -> None:
    answer = orjson.loads(joined("results", bodies, {"total": 1}))
    assert answer == {"results": [orjson.loads(body) for body in bodies], "total": 1}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, VectorChoice()),
        ({"return_vectors": True}, VectorChoice(())),
        ({"return_vector_names": "true"}, VectorChoice(names=True)),
        ({"return_vector_names": "false"}, VectorChoice()),
        ({"return_vector_names": "a, b"}, VectorChoice(["a", "b"])),
        ({"return_vectors": True, "return_vector_names": "a"}, VectorChoice(["a"])),
        ({"return_vectors": True, "return_vector_names": "true"}, VectorChoice((), names=True)),
    ],
)
def test_the_two_vector_parameters_make_one_choice(query: dict[str, str], expected: VectorChoice) -> None:
    assert VectorsQuery(**query).choice() == expected


def test_expand_is_a_list_of_field_paths() -> None:
    assert VectorsQuery(expand="parent, items.id").expanded() == ["parent", "items.id"]
    assert VectorsQuery().expanded() == []
    with pytest.raises(InvalidInput):
        VectorsQuery(expand="a..b").expanded()
