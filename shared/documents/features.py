"""Feature URIs: which vectors of a collection a search means (contract, section 5)."""

from __future__ import annotations

import re

from shared.documents.store import CollectionShape, vector_name

TEXT_EXTRACTOR = "mixpeek://text_extractor@v1"
# These mean a collection's text embedding, whatever its model: the short form, and the vendor's default text
# feature, which existing definitions name.
TEXT_ALIASES = frozenset({TEXT_EXTRACTOR, f"{TEXT_EXTRACTOR}/multilingual_e5_large_instruct_v1"})


_URI = re.compile(r"mixpeek://([\w-]+)@([\w.-]+)(?:/([\w-]+))?")


def feature_parts(uri: str) -> dict[str, str | None] | None:
    """Scheme, extractor, version and output of a feature URI; None for a bare name or a template."""
    found = _URI.fullmatch(uri)
    if found is None:
        return None
    extractor, version, output = found.groups()
    return {"scheme": "mixpeek", "extractor": extractor, "version": version, "output": output}


def index_name(shape: CollectionShape, feature: str) -> str | None:
    """The name of the vectors that `feature` (a URI or a bare name) stands for; None: it has none of them."""
    name = vector_name(feature)
    if shape.index(name) is not None:
        return name
    if feature in TEXT_ALIASES and shape.embedding is not None:
        return shape.embedding.model
    return None
