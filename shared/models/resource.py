"""A named thing of the installation as Redis keeps it: a namespace, a collection, a retriever, an alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import orjson


@dataclass(frozen=True, slots=True)
class Resource:
    """One stored resource. `body` is the JSON object that a GET answers; of an alert, `Alert`."""

    resource_id: str
    version: int
    body: bytes
    definition: bytes = b""  # retrievers only: the snapshot of `version`

    def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = orjson.loads(self.body)
        return answer


@dataclass(frozen=True)
class RetrieverRecord:
    """A version of a retriever as a submit needs it: resolved, parsed, the same for its whole life.

    Not slotted, so that what is derived from it can be kept on it (`functools.cached_property`).
    """

    retriever_id: str
    version: int
    body: bytes
    definition_json: bytes

    @classmethod
    def of(cls, resource: Resource) -> Self:
        return cls(resource.resource_id, resource.version, resource.body, resource.definition)

    @cached_property
    def definition(self) -> Mapping[str, Any]:
        """The immutable snapshot: retriever, namespace, collections, stages, input_schema, budget_limits."""
        definition: Mapping[str, Any] = orjson.loads(self.definition_json)
        return definition

    @cached_property
    def name(self) -> str:
        return str(self.definition["retriever_name"])

    @cached_property
    def namespace_id(self) -> str:
        return str(self.definition["namespace_id"])

    @cached_property
    def collection_ids(self) -> tuple[str, ...]:
        """The collections it searches by default; none = all of its namespace."""
        return tuple(self.definition["collection_ids"])
