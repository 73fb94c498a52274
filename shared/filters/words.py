"""Words and their English stems, by the tokenizers of the text index itself.

So that the `words` operator and a text search agree on what a word is and on its stem (Porter).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import apsw

# remove_diacritics 2 = "Wörld" is "world"; the text index is declared with the same arguments.
WORD_TOKENIZER = ("unicode61", "remove_diacritics", "2")
STEM_TOKENIZER = ("porter", *WORD_TOKENIZER)


class _Tokenizers(threading.local):
    """One pair per thread: SQLite hands a tokenizer out for one connection, and this one lives in memory."""

    def __init__(self) -> None:
        connection = apsw.Connection(":memory:")
        self.words = _tokenizer(connection, WORD_TOKENIZER)
        self.stems = _tokenizer(connection, STEM_TOKENIZER)


def _tokenizer(connection: apsw.Connection, arguments: tuple[str, ...]) -> Callable[[str], list[str]]:
    tokenizer = connection.fts5_tokenizer(arguments[0], list(arguments[1:]))

    def tokens(text: str) -> list[str]:
        found = tokenizer(
            text.encode(), apsw.FTS5_TOKENIZE_DOCUMENT, None, include_offsets=False, include_colocated=False
        )
        return cast("list[str]", found)  # plain strings, because nothing else was asked to be included

    return tokens


_tokenizers = _Tokenizers()


def words(text: str) -> list[str]:
    """The words in order, lower case and without diacritics: "The Wörld's" -> ["the", "world", "s"]."""
    return _tokenizers.words(text)


def stems(text: str) -> list[str]:
    """The words in order, each cut to its stem: "running dogs" -> ["run", "dog"]."""
    return _tokenizers.stems(text)
