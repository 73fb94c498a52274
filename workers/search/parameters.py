"""The parameters of a feature_search (contract, section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from shared.documents import as_several
from shared.embeddings.models import Task
from workers.documents.groups import GroupMode
from workers.search.fusion import Method
from workers.stages.base import FieldPath, StageParameters

CollectionIdentifiers = Annotated[
    list[str] | None,
    Field(min_length=1, max_length=100, description="Ids or names; the most specific place wins."),
]


class TextInput(StageParameters):
    """A query given as text."""

    input_mode: Literal["text"] = "text"
    value: str | None = Field(None, max_length=10_000, description="The text to search for.")
    text: str | None = Field(None, max_length=10_000, description="Old name of `value`.")
    embedding_task: Task | None = Field(
        None, description="What the text is embedded for; only models that take instructions differ."
    )

    @property
    def words(self) -> str:
        return (self.value or self.text or "").strip()


class VectorInput(StageParameters):
    """A query given as a vector, or several of which the nearest counts."""

    input_mode: Literal["vector"]
    value: list[float] | list[list[float]] | None = Field(None, description="The numbers.")
    vector: list[float] | list[list[float]] | None = Field(None, description="Old name of `value`.")

    @property
    def vectors(self) -> list[list[float]]:
        given = self.value or self.vector
        return [list(each) for each in as_several(given)] if given else []


class DocumentReference(StageParameters):
    """A stored document."""

    collection_id: str = Field(min_length=1, description="Id or name of its collection.")
    document_id: str = Field(min_length=1, description="Its id.")


class DocumentInput(StageParameters):
    """A query by a stored document: what is near to its vectors. The document itself is found, too."""

    input_mode: Literal["document"]
    document_ref: DocumentReference = Field(description="The document whose vectors are the query.")


def _input_mode(value: Any) -> str:
    mode = value.get("input_mode", "text") if isinstance(value, Mapping) else value.input_mode
    return str(mode)


Query = Annotated[
    Annotated[TextInput, Tag("text")]
    | Annotated[VectorInput, Tag("vector")]
    | Annotated[DocumentInput, Tag("document")],
    Discriminator(_input_mode),
]
_MODES = {"text": "TextInput", "vector": "VectorInput", "document": "DocumentInput"}
_BY_MODE: dict[str, Any] = {
    "discriminator": {
        "propertyName": "input_mode",
        "mapping": {mode: f"#/$defs/{model}" for mode, model in _MODES.items()},
        "default": "text",
    }
}


class Search(StageParameters):
    """One search of the stage."""

    model_config = ConfigDict(
        json_schema_extra={
            "required": ["feature_uri", "query"],
            "if": {"properties": {"lexical": {"const": True}}},
            "then": {"properties": {"query": {"properties": {"input_mode": {"const": "text"}}}}},
        }
    )

    feature_uri: str = Field(
        min_length=1,
        description="URI or name of the vectors to search; a lexical search covers all string fields.",
    )
    query: Query = Field(description="What to search for.", json_schema_extra=_BY_MODE)
    lexical: bool = Field(False, description="BM25 keyword search instead of vector search.")
    top_k: int = Field(100, ge=1, le=5000, description="Best documents taken.")
    min_score: float | None = Field(
        None, ge=0, le=1, description="Least score: cosine, or score / (score + 10) for a lexical search."
    )
    weight: float = Field(1.0, ge=0, le=1, description="Weight in the fusion.")
    optional: bool = Field(
        False, description="Leave the search out, with a warning, where there is nothing it could search."
    )
    on_empty: Literal["error", "skip", "random"] = Field(
        "error", description="When the query is empty: fail, leave the search out, or choose at random."
    )
    pre_filters: dict[str, Any] | None = Field(
        None, description="A filter tree for this search alone.", json_schema_extra={"x-filter": True}
    )
    collection_identifiers: CollectionIdentifiers = None
    query_preprocessing: None = Field(None, description="Not available: for media queries.")

    @model_validator(mode="after")
    def _words_need_text(self) -> Self:
        if self.lexical and not isinstance(self.query, TextInput):
            raise ValueError(
                f"a lexical search takes a text query, not input_mode {self.query.input_mode!r}; "
                "set lexical to false or input_mode to text"
            )
        return self

    @property
    def is_empty(self) -> bool:
        match self.query:
            case TextInput(words=words):
                return not words
            case VectorInput(vectors=vectors):
                return not vectors
            case _:
                return False


class FacetParameters(StageParameters):
    """Counts of a field's values."""

    key: FieldPath = Field(description="Dotted path of the field.")
    limit: int = Field(10, ge=1, le=1000, description="Most frequent values shown.")
    exact: bool = Field(False, description="Counts are always exact.")


class GroupByParameters(StageParameters):
    """Collapse the result by the value of a field, best documents first."""

    field: FieldPath = Field(description="Dotted path of the field; documents without it are one group.")
    max_per_group: int = Field(1, ge=1, le=100, description="Most documents of one group that go on.")
    limit: int = Field(25, ge=1, le=500, description="Most groups.")
    output_mode: GroupMode = Field(
        "all",
        description="first: the best document of each group; all: one row per group, with its documents; "
        "flatten: the documents, group after group.",
    )


class FeatureSearchParameters(StageParameters):
    """Searches, how they are fused, and how the result is cut."""

    searches: Annotated[list[Search], Field(max_length=10)] = Field(
        default_factory=list, description="The searches; empty = only the pre_filters select documents."
    )
    final_top_k: int = Field(25, ge=1, le=5000, description="Documents that go on.")
    fusion: Method = Field(
        "rrf",
        description="How several searches are fused: by rank, weighted by normalised score, by the "
        "distribution of scores, or by the best. One search keeps its scores.",
    )
    collection_identifiers: CollectionIdentifiers = None
    facets: Annotated[list[FacetParameters], Field(max_length=20)] | None = Field(
        None, description="Fields to count over all documents that pass the filters."
    )
    group_by: GroupByParameters | None = Field(
        None, description="Collapse what all searches found; its limit replaces final_top_k."
    )
    hard_timeout_ms: None = Field(None, description="Not available; set max_time_ms in budget_limits.")
    interactive: Literal[False] = Field(False, description="Not available.")
    degrade_retry: Literal[False] = Field(False, description="Not available.")
    auto_preprocess: bool = Field(True, description="Text, vectors and references need no preprocessing.")
    query_preprocessing: None = Field(None, description="Not available: for media queries.")
    learning_config: None = Field(None, description="Not available.")
    cache_behavior: Literal["auto", "disabled"] = Field(
        "auto", description="There is no cache; nothing is kept."
    )
    cache_ttl_seconds: None = Field(None, description="There is no cache.")
