"""Documents: what a client sends and gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from fastapi import Query
from pydantic import AfterValidator, BaseModel, Discriminator, Field, Tag, model_validator

from api.schemas.common import NotYet, RequestModel
from shared.documents.store import RESERVED_FIELDS, vector_name
from shared.filters.paths import validate_path

BATCH_MAX = 1_000

DocumentIds = Annotated[list[str], Field(min_length=1, max_length=BATCH_MAX)]


def _count(value: Any) -> str:
    return "$several" if isinstance(value, list) and value and isinstance(value[0], list) else "$one"


# Tagged, so that an error names the number that is wrong, not every way in which the whole does not fit.
VectorValue = Annotated[
    Annotated[list[float], Tag("$one")] | Annotated[list[list[float]], Tag("$several")], Discriminator(_count)
]
VectorValues = dict[str, VectorValue]


def _clear_names(vectors: VectorValues | None) -> VectorValues | None:
    """Vectors are returned at the document's root, where some names are taken. A URI stands for its name."""
    given: dict[str, str] = {}
    for name_or_uri in vectors or {}:
        name = vector_name(name_or_uri)
        if name in RESERVED_FIELDS:
            raise ValueError(f"no vector may be named {name}")
        if name in given:
            raise ValueError(f"{given[name]!r} and {name_or_uri!r} are the same vector; give one of them")
        given[name] = name_or_uri
    return vectors


Vectors = Annotated[
    VectorValues | None,
    AfterValidator(_clear_names),
    Field(description="Name -> numbers, or several lists of numbers; names are learnt on first write."),
]


class Lineage(RequestModel):
    """Where a document came from; kept under `_internal.lineage`."""

    source_type: Literal["bucket", "collection", "direct_upsert", "signal"] | None = None
    root_object_id: str | None = None
    root_bucket_id: str | None = None
    source_collection_id: str | None = None
    source_document_id: str | None = None
    source_object_id: str | None = None
    lineage_path: str | None = None
    lineage_chain: list[dict[str, Any]] | None = None

    def lineage(self) -> dict[str, Any]:
        """The lineage fields that were given."""
        given = {name: getattr(self, name) for name in Lineage.model_fields}
        return {"source_type": "direct_upsert"} | {
            name: value for name, value in given.items() if value is not None
        }


class DocumentCreate(Lineage):
    """A new document. Every key that is not named here is the user's own field at the document's root."""

    document_id: Annotated[str | None, Field(description="Made by the server when left out.")] = None
    collection_id: Annotated[str | None, Field(description="Must agree with the path.")] = None
    metadata: Annotated[dict[str, Any] | None, Field(description="A field like any other.")] = None
    vectors: Vectors = None
    content_hash: str | None = None
    document_schema_version: str | None = None
    features: NotYet = None


class DocumentUpsert(Lineage):
    """One document of a batch; an existing one with its id is replaced."""

    document_id: str
    payload: Annotated[dict[str, Any] | None, Field(description="The user's fields.")] = None
    vectors: Vectors = None
    metadata: Annotated[dict[str, Any] | None, Field(description="Kept under `_internal.metadata`.")] = None
    content_hash: str | None = None
    acl: NotYet = None


class UpsertOptions(RequestModel):
    write_token: Annotated[
        bool, Field(description="Answer a token; an execution given it waits until this write is searchable.")
    ] = False
    idempotency_key: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=255,
            description="With the same body it gives the first answer again; another body is a 409.",
        ),
    ] = None


class UpsertBody(RequestModel):
    documents: Annotated[list[DocumentUpsert], Field(max_length=BATCH_MAX)]
    collection_id: Annotated[
        str | None, Field(description="Id or name; a hidden collection of the namespace when left out.")
    ] = None
    options: UpsertOptions = UpsertOptions()


class UpsertAnswer(BaseModel):
    inserted: int
    document_ids: list[str]
    write_token: str | None = None
    dropped_payload_fields: dict[str, list[str]] | None = None
    unsearchable_document_ids: list[str] | None = None
    consistency: dict[str, Any] | None = None
    warnings: list[str] = []


@dataclass(frozen=True, slots=True)
class VectorChoice:
    """What of a document's vectors an answer shows."""

    arrays: Sequence[str] | None = None  # names of those to show at the root; empty = all, None = none
    names: bool = False  # list the names under `_vectors`

    @classmethod
    def of(cls, return_vectors: bool, names: bool | Sequence[str] | None) -> Self:
        """As the client's two parameters say: `true` for the names asks for a list of names only."""
        if names is None or isinstance(names, bool):
            return cls(() if return_vectors else None, bool(names))
        return cls(names)


class VectorsWanted(RequestModel):
    return_vectors: Annotated[
        bool, Field(description="Add each vector at the document's root, under its name.")
    ] = False
    return_vector_names: Annotated[
        bool | list[str] | None, Field(description="Add only these; `true` lists all names under `_vectors`.")
    ] = None
    return_presigned_urls: Annotated[
        bool, Field(description="Documents hold no blobs, so there is nothing to sign.")
    ] = False

    def vectors(self) -> VectorChoice:
        return VectorChoice.of(self.return_vectors, self.return_vector_names or None)


def listed(text: str | None) -> list[str] | None:
    """The parts of a query parameter, separated by commas; None when it was not given."""
    return [part.strip() for part in text.split(",")] if text else None


@dataclass(frozen=True, slots=True)
class VectorsQuery:
    """The same as query parameters; names are separated by commas."""

    return_vectors: Annotated[
        bool, Query(description="Add each vector at the document's root, under its name.")
    ] = False
    return_vector_names: Annotated[
        str | None, Query(description="Names separated by commas; `true` lists them.")
    ] = None
    return_presigned_urls: Annotated[
        bool, Query(description="Documents hold no blobs, so there is nothing to sign.")
    ] = False
    expand: Annotated[
        str | None,
        Query(description="Fields that hold document ids, separated by commas; shown under `_expanded`."),
    ] = None

    def choice(self) -> VectorChoice:
        """As `VectorsWanted.vectors`."""
        return VectorChoice.of(self.return_vectors, self.names())

    def expanded(self) -> list[str]:
        """Raises InvalidInput where a part is no field path."""
        return [validate_path(path, ("query", "expand")) for path in listed(self.expand) or ()]

    def names(self) -> bool | list[str] | None:
        """`return_vector_names` in the form that a body has."""
        text = (self.return_vector_names or "").strip()
        if text.lower() in ("", "true", "false"):
            return text.lower() == "true" or None
        return listed(text)


class DocumentBatchGet(VectorsWanted):
    document_ids: DocumentIds


class DocumentDeleteBody(RequestModel):
    """Either ids or filters."""

    document_ids: DocumentIds | None = None
    filters: dict[str, Any] | None = None
    reason: Annotated[str | None, Field(max_length=500, description="Written to the log.")] = None

    @model_validator(mode="after")
    def _one_of_two(self) -> DocumentDeleteBody:
        if (self.document_ids is None) == (not self.filters):
            raise ValueError("give either document_ids or filters (not empty)")
        return self


class DocumentDeletion(BaseModel):
    document_id: str
    success: bool
    error: str | None = None


class DocumentDeleteAnswer(BaseModel):
    deleted_count: int
    failed_count: int
    results: list[DocumentDeletion]
    message: str
    task_id: None = None
    status: Literal["COMPLETED"] = "COMPLETED"
    limits: dict[str, int] | None = None


class DocumentCount(BaseModel):
    collection_id: str
    count: int


class Document(BaseModel):
    """A stored document: ids, the user's fields at the root, system data under `_internal`."""

    model_config = {"extra": "allow"}

    document_id: str
    collection_id: str
    searchable_at: Annotated[
        str | None, Field(description="Since when all searches find it; null until its text is embedded.")
    ]
    internal: Annotated[
        dict[str, Any], Field(alias="_internal", description="Left out where a list's `select` does so.")
    ] = {}


class DocumentBatch(BaseModel):
    documents: list[Document]
    not_found: list[str]
