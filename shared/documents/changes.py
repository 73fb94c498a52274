"""Changes to a stored document: what they name is set, everything else stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.documents.store import RESERVED_FIELDS, DocumentWrite
from shared.documents.stored import content_hash
from shared.errors import InvalidInput
from shared.models.document import Document

# From the user's fields to those that are to be stored; raises InvalidInput where they do not allow it.
FieldChange = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_MERGED = "metadata"
# What the engine sets at every write.
_OF_THE_ENGINE = frozenset({"created_at", "updated_at", "namespace_id", "collection_id", "document_id"})


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """One change; the document's own vectors stay.

    Attributes:
        fields: makes the new fields of the old ones.
        lineage: entries of `_internal.lineage` to set.
        system: other entries of `_internal` to set.
    """

    fields: FieldChange
    lineage: Mapping[str, Any] = field(default_factory=dict)
    system: Mapping[str, Any] = field(default_factory=dict)

    def apply(self, document: Document) -> DocumentWrite:
        """The document as it is to be written. Raises InvalidInput where its fields do not allow it."""
        before = {name: value for name, value in document.payload.items() if name not in RESERVED_FIELDS}
        internal = document.payload["_internal"]
        kept = {name: value for name, value in internal.items() if name not in _OF_THE_ENGINE}
        if kept["content_hash"] == content_hash(before):  # of our own making: it follows the content
            del kept["content_hash"]
        lineage = {**internal["lineage"], **self.lineage}
        system = {**kept, "lineage": lineage, **self.system}
        return DocumentWrite(document.document_id, self.fields(before), system=system)


def merging(given: Mapping[str, Any]) -> FieldChange:
    """Each field is replaced, but `metadata` is merged key by key, and null drops a key of it."""

    def change(fields: Mapping[str, Any]) -> Mapping[str, Any]:
        changed = {**fields, **given}
        if isinstance(given.get(_MERGED), dict):
            changed[_MERGED] = _merged(fields.get(_MERGED), given[_MERGED])
        return changed

    return change


def _merged(old: Any, new: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in old.items() if key not in new} if isinstance(old, dict) else {}
    return kept | {key: value for key, value in new.items() if value is not None}


def assigning(given: Mapping[str, Any]) -> FieldChange:
    """Each key is a field to replace, or a dotted path of which only the last part is replaced."""

    def change(fields: Mapping[str, Any]) -> Mapping[str, Any]:
        changed = dict(fields)
        for path, value in given.items():
            changed = placed(changed, path.split("."), value)
        return changed

    return change


def placed(fields: Mapping[str, Any], parts: Sequence[str], value: Any) -> dict[str, Any]:
    """A copy with the value at a path; objects that are missing on the way are made.

    Raises:
        InvalidInput: something on the way is neither an object nor null.
    """
    copy = dict(fields)
    holder = copy
    for depth, name in enumerate(parts[:-1], 1):
        inner = holder.get(name)
        if inner is not None and not isinstance(inner, dict):
            kind = "a list" if isinstance(inner, list) else "a single value"
            way = ".".join(parts[:depth])
            raise InvalidInput.at(
                [".".join(parts)], f"{way} is {kind}, which has no fields; replace it whole"
            )
        holder[name] = dict(inner or {})
        holder = holder[name]
    holder[parts[-1]] = value
    return copy
