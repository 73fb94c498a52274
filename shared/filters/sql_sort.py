"""Orders of documents as SQLite expressions on `payload` (JSONB) and `list_bits`; sort.py is the meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.filters.list_bits import path_mask
from shared.filters.paths import payload_parts
from shared.filters.sort import RANKS, SortKey
from shared.filters.sql import Parameters, crosses_list, json_path

_RANK_OF_TYPE = " ".join(
    f"WHEN '{json_type}' THEN {RANKS[kind]}"
    for json_type, kind in {
        "true": "boolean",
        "false": "boolean",
        "integer": "number",
        "real": "number",
        "text": "text",
        "array": "list",
        "object": "object",
    }.items()
)


def compile_order(keys: Sequence[SortKey], parameters: Parameters) -> str:
    """The terms of ORDER BY, document_id last."""
    terms: list[str] = []
    for key in keys:
        rank, value = _rank_and_value(key, parameters)
        terms += [f"{rank} {key.direction}", f"{value} {key.direction}"]
    return ", ".join([*terms, "document_id"])


def compile_after(
    keys: Sequence[SortKey], position: Sequence[tuple[int, Any]], document_id: str, parameters: Parameters
) -> str:
    """The condition of standing behind a position (sort.position) in that order."""
    condition = f"document_id > {parameters.bind(document_id)}"
    for key, (rank, value) in zip(reversed(keys), reversed(position), strict=True):
        rank_sql, value_sql = _rank_and_value(key, parameters)
        sign = ">" if key.direction == "asc" else "<"
        same_rank, same_value = parameters.bind(rank), parameters.bind(value)
        condition = (
            f"({rank_sql} {sign} {same_rank} OR {rank_sql} = {same_rank} AND"
            f" ({value_sql} {sign} {same_value} OR {value_sql} IS {same_value} AND {condition}))"
        )
    return condition


def _rank_and_value(key: SortKey, parameters: Parameters) -> tuple[str, str]:
    """Two SQL expressions that order one key: `->>` gives booleans as 0 and 1, lists as JSON text."""
    parts = payload_parts(key.path)
    path = parameters.bind(json_path(parts))
    type_sql, value_sql = f"json_type(payload, {path})", f"payload ->> {path}"
    if len(parts) > 1:
        crossing = f"list_bits & {path_mask(parts[:-1])} AND {crosses_list(parts, parameters)}"
        found = f"kennel_resolve(json(payload), {parameters.bind(key.path)})"
        type_sql = f"CASE WHEN {crossing} THEN json_type({found}) ELSE {type_sql} END"
        value_sql = f"CASE WHEN {crossing} THEN {found} ->> '$' ELSE {value_sql} END"
    return f"CASE {type_sql} {_RANK_OF_TYPE} ELSE {key.null_rank} END", value_sql
