"""Feature URIs: which vectors of a collection a search means (contract, section 5)."""

from __future__ import annotations

from shared.documents.store import CollectionShape, vector_name

TEXT_EXTRACTOR = "mixpeek://text_extractor@v1"
# These mean a collection's text embedding, whatever its model: the short form, and the vendor's default text
# feature, which existing definitions name.
TEXT_ALIASES = frozenset({TEXT_EXTRACTOR, f"{TEXT_EXTRACTOR}/multilingual_e5_large_instruct_v1"})


def index_name(shape: CollectionShape, feature: str) -> str | None:
    """The name of the vectors that `feature` (a URI or a bare name) stands for; None: it has none of them."""
    name = vector_name(feature)
    if shape.index(name) is not None:
        return name
    if feature in TEXT_ALIASES and shape.embedding is not None:
        return shape.embedding.model
    return None
