"""Figures about the documents of a collection, computed while the caller waits."""

from __future__ import annotations

from typing import Any, Literal

from api.directory import CollectionDirectory
from api.pool import DocumentPool
from api.schemas.document_aggregation import (
    DISTINCT_MAX,
    AggregationGroup,
    AggregationRequest,
    DistinctRequest,
)
from shared import keys
from shared.documents.aggregation import Aggregated, Figure, GroupField, Having, Plan, Ranges, aggregate
from shared.documents.store import CollectionRef, DocumentStore
from shared.filters.parse import parse_filter
from shared.stores.resources import ResourceStore

# Types of a payload index whose values keep their JSON type in a group.
_KEPT: dict[str, Literal["number", "boolean"]] = {"integer": "number", "float": "number", "bool": "boolean"}


class DocumentAggregationService:
    """Every method takes the caller's namespace; collections are ids or names in it."""

    def __init__(
        self, namespaces: ResourceStore, collections: CollectionDirectory, pool: DocumentPool
    ) -> None:
        self._namespaces = namespaces
        self._collections = collections
        self._pool = pool

    async def aggregate(
        self, namespace_id: str, collection: str, request: AggregationRequest
    ) -> dict[str, Any]:
        """The rows of the groups.

        Raises:
            NotFound: no such collection. InvalidInput: a filter, too many groups, or a path to unwind.
        """
        ref = await self._ref(namespace_id, collection)
        where = parse_filter(request.filters, loc=("filters",))
        plan = _plan(request, await self._kept_types(namespace_id))

        def run(documents: DocumentStore) -> Aggregated:
            return aggregate(documents.scan(ref, plan.top_fields(), where=where), plan)

        found = await self._pool.run(run)
        info: dict[str, Any] = {"documents": found.documents, "groups": found.found}
        if request.unknown_keys():
            info["warnings"] = request.warnings()
        return {"results": found.rows, "total_groups": len(found.rows), "query_info": info}

    async def distinct(self, namespace_id: str, collection: str, request: DistinctRequest) -> dict[str, Any]:
        """The values of a field, each element of a list counted once for a document; nulls are left out."""
        ref = await self._ref(namespace_id, collection)
        where = parse_filter(request.filters, loc=("filters",))
        limit = request.limit or DISTINCT_MAX
        found = await self._pool.run(
            lambda documents: documents.facet(ref, request.field, where=where, limit=limit + 1)
        )
        values = [{"value": value, "count": count} for value, count in found[:limit]]
        info: dict[str, Any] = {}
        if request.limit is None and len(found) > limit:
            info = {"truncated": True, "reason": f"there are over {DISTINCT_MAX:,} values; use filters"}
        if request.unknown_keys():
            info["warnings"] = request.warnings()
        return {
            "field": request.field,
            "values": values,
            "total_distinct": len(values),
            "query_info": info or None,
        }

    async def _kept_types(self, namespace_id: str) -> dict[str, Literal["number", "boolean"]]:
        """Path -> the type that its values keep, as the namespace declares it."""
        namespace = (await self._namespaces.get(keys.INSTALLATION, namespace_id)).answer()
        return {
            index["field_name"]: _KEPT[index["type"]]
            for index in namespace["payload_indexes"]
            if index["type"] in _KEPT
        }

    async def _ref(self, namespace_id: str, collection: str) -> CollectionRef:
        found = await self._collections.find(namespace_id, collection)
        return CollectionRef(namespace_id, found.resource_id)


def _plan(request: AggregationRequest, kept: dict[str, Literal["number", "boolean"]]) -> Plan:
    ranges = {
        bucket.field: Ranges(bucket.boundaries, bucket.default_bucket)
        for bucket in request.range_buckets or ()
    }
    groups = list(request.group_by or ())
    named = {group.field for group in groups}
    groups += [AggregationGroup(field=field) for field in ranges if field not in named]
    return Plan(
        figures=[Figure(each.function, each.counted(), each.alias) for each in request.aggregations],
        groups=[
            GroupField(
                group.field,
                group.name(),
                kept.get(group.field),
                group.date_trunc,
                group.date_part,
                ranges.get(group.field),
            )
            for group in groups
        ],
        having=[Having(each.field, each.operator, each.value) for each in request.having or ()],
        unwind=request.unwind,
        sort_by=request.sort_by,
        descending=request.sort_direction == "desc",
        limit=request.limit,
    )
