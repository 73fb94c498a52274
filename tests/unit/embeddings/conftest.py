from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import pytest

from shared.embeddings.embedder import Embedder
from shared.settings import Settings
from tests.unit.embeddings.embedding_endpoint import DIMENSIONS, Endpoint, running_endpoint


class Connect(Protocol):
    def __call__(self, **settings: Any) -> Embedder: ...


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that a connected embedder made, none of which took any time."""
    return []


@pytest.fixture
def connect(endpoint: Endpoint, pauses: list[float]) -> Iterator[Connect]:
    """Embedders of the endpoint, whose model is named `tiny`."""
    with ExitStack() as stack:

        def connect(**settings: Any) -> Embedder:
            given = {
                "embeddings_url": endpoint.base_url,
                "embeddings_model": "acme/tiny",
                "embeddings_name": "tiny",
                "embeddings_dimensions": DIMENSIONS,
            }
            embedder = Embedder(Settings(**{**given, **settings}), pause=pauses.append)
            stack.callback(embedder.close)
            return embedder

        yield connect
