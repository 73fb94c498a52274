"""What turns texts into vectors: the built-in model, or an endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.embeddings.models import Task

Vectors = NDArray[np.float32]


class Provider(Protocol):
    """One model. Several threads use it at a time."""

    @property
    def max_chars(self) -> int:
        """Characters of a text that are read."""

    @property
    def prefixes(self) -> Mapping[Task, str]:
        """What the model wants in front of a text, for the tasks that it tells apart."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Shape (len(texts), dimensions), each row of any length.

        Raises:
            Unavailable: the endpoint is away; the same call may succeed later.
            EmbeddingRefused: the same call would fail again.
        """
