"""Facets: how many documents have each value of a field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.filters.ast import And, Filter
from shared.filters.list_bits import path_mask
from shared.filters.paths import payload_parts
from shared.filters.sql import Parameters, compile_where, crosses_list, json_path


def facet_statement(path: str, where: Filter | None, limit: int) -> tuple[str, Sequence[Any]]:
    """SQL and its values for (type, value, count), most frequent first, ties by value."""
    parameters = Parameters()
    rows = _rows(path, parameters)
    condition = compile_where(where or And(()), parameters)
    sql = (
        "SELECT type, value, count(*) AS documents FROM ("
        f"SELECT DISTINCT document_key, {_TYPE} AS type, item.value FROM documents, {rows} AS item"
        f" WHERE {_IS_VALUE} AND {condition})"
        f" GROUP BY type, value ORDER BY documents DESC, type, value LIMIT {parameters.bind(limit)}"
    )
    return sql, parameters.values


def facet_value(type_: str, value: Any) -> Any:
    return bool(value) if type_ == "boolean" else value


# 1 and 1.0 are one value; true and 1 are two.
_TYPE = (
    "CASE item.type WHEN 'true' THEN 'boolean' WHEN 'false' THEN 'boolean'"
    " WHEN 'text' THEN 'text' ELSE 'number' END"
)
# json_each gives the one row of a scalar without key, the elements of a list with a number, the members of
# an object with a text.
_IS_VALUE = "item.type IN ('text', 'integer', 'real', 'true', 'false') AND typeof(item.key) <> 'text'"


def _rows(path: str, parameters: Parameters) -> str:
    """SQL: the value at the path, or its elements, as rows."""
    parts = payload_parts(path)
    place = parameters.bind(json_path(parts))
    if len(parts) == 1:
        return f"json_each(payload, {place})"
    crosses = f"(list_bits & {path_mask(parts[:-1])} AND {crosses_list(parts, parameters)})"
    by_python = f"coalesce(kennel_resolve(json(payload), {parameters.bind(path)}), '[]')"
    return f"json_each(iif({crosses}, {by_python}, payload), iif({crosses}, '$', {place}))"
