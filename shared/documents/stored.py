"""The stored form of a document: the flat JSON that the API returns, made once at write time."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import orjson

from shared.documents.store import (
    RESERVED_FIELDS,
    CollectionRef,
    DocumentWrite,
    VectorValue,
    validate_document_id,
)
from shared.errors import InvalidInput
from shared.filters.paths import resolve

MAX_DIMENSIONS = 65_536
MAX_VECTOR_NAME_CHARS = 255
MAX_VECTORS_PER_NAME = 1_000
_EMBEDDED_BY_DEFAULT = ("text", "content")


def check_write(write: DocumentWrite) -> None:
    """Raises InvalidInput for a malformed id or a reserved field."""
    validate_document_id(write.document_id)
    reserved = RESERVED_FIELDS & write.fields.keys()
    if reserved:
        name = min(reserved)
        raise InvalidInput.at((name,), f"{name} is set by the server; leave it out of the fields")


def content_hash(fields: Mapping[str, Any]) -> str:
    """SHA-256 over the fields in canonical order: equal for equal content.

    Raises:
        InvalidInput: the fields are not JSON.
    """
    return hashlib.sha256(_dump(fields, orjson.OPT_SORT_KEYS)).hexdigest()


def stored_json(ref: CollectionRef, write: DocumentWrite, *, created_at: str, updated_at: str) -> bytes:
    """The document as it is stored and returned (contract 8.1).

    Raises:
        InvalidInput: the fields are not JSON.
    """
    internal = {
        "lineage": {"source_type": "direct_upsert"},
        "content_hash": content_hash(write.fields),
        **write.system,
        "created_at": created_at,
        "updated_at": updated_at,
        "namespace_id": ref.namespace_id,
        "collection_id": ref.collection_id,
        "document_id": write.document_id,
    }
    document = {
        "document_id": write.document_id,
        "collection_id": ref.collection_id,
        **write.fields,
        "_internal": internal,
    }
    return _dump(document)


def searchable_text(document: Mapping[str, Any]) -> str:
    """All texts of the user's fields, nested ones too, one a line; neither keys nor ids."""
    return "\n".join(
        text for name, value in document.items() if name not in RESERVED_FIELDS for text in _texts(value)
    )


def embedding_text(document: Mapping[str, Any], fields: Sequence[str]) -> str:
    """The text that is embedded: those of the fields, a line each; without fields `text`, else `content`."""
    if fields:
        return "\n".join(text for field in fields for text in _texts(resolve(field, {}, document)))
    found = (document[name] for name in _EMBEDDED_BY_DEFAULT if isinstance(document.get(name), str))
    return next((text for text in found if text.strip()), "")


def text_digest(text: str) -> bytes | None:
    """Equal for equal texts; None for one without content, which has nothing to embed."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest() if text.strip() else None


def pack_vectors(name: str, value: VectorValue) -> list[bytes]:
    """Little-endian float32, one for each vector; `value` is one or several of the same length.

    Raises:
        InvalidInput: a bad name, no numbers or too many, one that is not finite in float32, or lengths that
            differ.
    """
    if not 1 <= len(name) <= MAX_VECTOR_NAME_CHARS:
        raise InvalidInput.at(("vectors", name), f"a vector name has 1 to {MAX_VECTOR_NAME_CHARS} characters")
    vectors = as_several(value)
    if not 1 <= len(vectors) <= MAX_VECTORS_PER_NAME:
        raise InvalidInput.at(
            ("vectors", name), f"1 to {MAX_VECTORS_PER_NAME} vectors of one name, not {len(vectors)}"
        )
    packed = [_pack(name, numbers) for numbers in vectors]
    if len({len(each) for each in packed}) > 1:
        raise InvalidInput.at(("vectors", name), "all vectors of one name have the same number of dimensions")
    return packed


def as_several(value: VectorValue) -> list[Sequence[float]]:
    return list(cast("Any", value)) if is_several(value) else [cast("Sequence[float]", value)]


def is_several(value: VectorValue) -> bool:
    return bool(value) and isinstance(value[0], list | tuple)


def unpack_vector(packed: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


def _pack(name: str, numbers: Sequence[float]) -> bytes:
    if not 1 <= len(numbers) <= MAX_DIMENSIONS:
        raise InvalidInput.at(
            ("vectors", name), f"a vector has 1 to {MAX_DIMENSIONS} numbers, this one {len(numbers)}"
        )
    try:
        if all(map(math.isfinite, numbers)):
            return struct.pack(f"<{len(numbers)}f", *numbers)
    except (OverflowError, TypeError, struct.error):
        pass  # not a number, or too large for float32: refused below
    raise InvalidInput.at(("vectors", name), "each element must be a finite number that fits float32")


def _dump(value: Any, options: int = 0) -> bytes:
    try:
        return orjson.dumps(value, option=options)
    except orjson.JSONEncodeError as error:
        raise InvalidInput.at(("document",), f"the document cannot be stored as JSON: {error}") from error


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
