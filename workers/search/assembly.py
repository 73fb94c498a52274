"""From the parameters of one search to how it ranks."""

from __future__ import annotations

from shared.documents import CollectionRef, CollectionShape, as_several
from shared.errors import StageError
from workers.context import StageContext
from workers.search.parameters import DocumentInput, DocumentReference, Search, TextInput, VectorInput
from workers.search.rankers import AtRandom, ByVectors, ByWords, QueryVectors, Ranker, Vectors


def ranker_of(search: Search, name: str, context: StageContext) -> Ranker:
    """`name` is the search in the words of warnings and errors."""
    if search.is_empty:
        return AtRandom(f"{context.idempotency_token}:{name}")
    if search.lexical and isinstance(search.query, TextInput):
        return ByWords(search.query.words)

    def on_missing(ref: CollectionRef) -> None:
        context.warn(f"{name}: collection {ref.collection_id} has no such vectors")

    def on_unknown(reason: str) -> None:
        if not search.optional:
            raise StageError(f"{name}: {reason}")
        context.warn(f"{name} was left out: {reason}")

    return ByVectors(search.feature_uri, _queries(search.query, context), on_missing, on_unknown)


def _queries(query: TextInput | VectorInput | DocumentInput, context: StageContext) -> QueryVectors:
    """The query vectors for the vectors of one name in one collection."""
    if isinstance(query, TextInput):
        return lambda shape, name: _embedded(query, shape, name, context)
    if isinstance(query, VectorInput):
        return lambda shape, name: query.vectors
    return lambda shape, name: _vectors_of(query.document_ref, name, context)


def _embedded(query: TextInput, shape: CollectionShape, name: str, context: StageContext) -> Vectors:
    if shape.embedding is None or shape.embedding.model != name:
        raise StageError(
            f"the vectors {name!r} are the caller's own, so a text cannot be compared with them; "
            "send the query as input_mode vector"
        )
    return context.embed(name, query.words, query.embedding_task or "retrieval_query")


def _vectors_of(reference: DocumentReference, name: str, context: StageContext) -> Vectors:
    ref = context.collection_named(reference.collection_id)
    context.await_embeddings(ref)
    found = context.documents.get_vectors(ref, [reference.document_id], [name])
    if not found and not context.documents.get(ref, [reference.document_id]):
        raise StageError(f"the query's document {reference.document_id!r} does not exist")
    if not found:
        raise StageError(f"the query's document {reference.document_id!r} has no vector {name!r}, or not yet")
    return as_several(found[reference.document_id][name])
