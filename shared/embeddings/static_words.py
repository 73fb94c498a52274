"""The built-in model: a text's vector is the mean of the vectors of its words' tokens.

The model files come with the package `wordllama`. They are read directly: importing the package brings an
HTTP client and sets up logging, and word by word is four times as fast as its own way.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from shared.embeddings.models import BUILT_IN, Task
from shared.embeddings.provider import Vectors
from shared.filters.words import words
from shared.stop_words import ENGLISH

# Some 3,000 words of a text; further ones hardly move its mean.
MAX_CHARS = 20_000
_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
# Texts repeat their words. Longer "words" (CJK sentences, encoded data) do not, and would fill the memory.
_CACHED_WORDS = 65_536
_CACHED_WORD_MAX_CHARS = 32
_TOKENS_AT_A_TIME = 4_096  # 4 MB of vectors

_loading = threading.Lock()


class StaticWords:
    """The mean alone gives no query another vector than the same document, so no task has a prefix."""

    max_chars = MAX_CHARS
    prefixes: Mapping[Task, str] = {}

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
        self._token_vectors: Vectors = load_file(folder / _WEIGHTS)["embedding.weight"].astype(np.float32)
        self._known_token_ids = lru_cache(_CACHED_WORDS)(self._encode)

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), BUILT_IN.dimensions), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            self._add_up(self._token_ids(text), row)
        return vectors

    def _token_ids(self, text: str) -> list[int]:
        """The tokens of the words that say something; of the whole text when none does.

        Stop words and punctuation only dilute a mean: without them nDCG@10 on CISI rises from 0.371 to 0.375.
        No token spans two words, so the tokens are those of the words joined by spaces.
        """
        ids = [token for word in words(text) if word not in ENGLISH for token in self._word_token_ids(word)]
        return ids or list(self._encode(text))

    def _word_token_ids(self, word: str) -> tuple[int, ...]:
        return self._known_token_ids(word) if len(word) <= _CACHED_WORD_MAX_CHARS else self._encode(word)

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _add_up(self, token_ids: list[int], row: Vectors) -> None:
        """Add the tokens' vectors to `row`. It points where the mean does, and is normalised anyway."""
        for start in range(0, len(token_ids), _TOKENS_AT_A_TIME):
            row += self._token_vectors[token_ids[start : start + _TOKENS_AT_A_TIME]].sum(axis=0)


def static_words() -> StaticWords:
    """The one of this process; the first call reads 18 MB of files."""
    with _loading:
        return _load()


@cache
def _load() -> StaticWords:
    return StaticWords(Path(str(distribution("wordllama").locate_file("wordllama"))))
