"""The body of a list of documents, with what the query says in its place."""

from __future__ import annotations

from typing import Any

import orjson

from api.schemas.document_lists import DocumentListBody, ListQuery
from api.schemas.documents import VectorsQuery, listed
from api.services.resources.listing import parse_filters, parse_sort
from api.services.validation import validated
from shared.errors import InvalidInput


def with_query(body: DocumentListBody | None, query: ListQuery) -> DocumentListBody:
    """The body wins; of a flag either is enough.

    Raises:
        InvalidInput: a parameter of the query is malformed.
    """
    body = body or DocumentListBody()
    given = _given(query)
    asked = validated(DocumentListBody, given, at=("query",))
    return body.model_copy(update={name: getattr(asked, name) for name in given if not getattr(body, name)})


def _given(query: ListQuery) -> dict[str, Any]:
    """What the query says, in the form that a body has."""
    values: dict[str, Any] = {
        "filters": parse_filters(query.filters),
        "sort": parse_sort(query.sort),
        "search": query.search,
        "select": listed(query.select),
        "group_by": query.group_by,
        "expand": listed(query.expand),
        "partition": _parse_partition(query.partition),
        "return_vectors": query.return_vectors,
        "return_vector_names": VectorsQuery(return_vector_names=query.return_vector_names).names(),
        "return_presigned_urls": query.return_presigned_urls,
    }
    return {name: value for name, value in values.items() if value}


def _parse_partition(text: str | None) -> Any:
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput.at(("query", "partition"), f"must be JSON: {error}", value=text) from error
