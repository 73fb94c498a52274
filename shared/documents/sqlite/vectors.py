"""The rows of vectors: written, dropped and read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import apsw
import orjson

from shared.documents.sqlite.rows import fetch
from shared.documents.store import Metric, VectorValue, vector_name
from shared.documents.stored import is_several, pack_vectors, unpack_vector
from shared.errors import InvalidInput

_READ = (
    "SELECT document_id, name, several, vector FROM documents JOIN vectors USING (document_key)"
    " JOIN vector_indexes USING (index_key)"
    " WHERE document_id IN (SELECT value FROM json_each(?1))"
    " AND (?2 IS NULL OR name IN (SELECT value FROM json_each(?2))) ORDER BY vector_id"
)


@dataclass(frozen=True, slots=True)
class IndexRow:
    index_key: int
    name: str
    dimensions: int
    several: bool | None  # None: not known before the first vector
    metric: Metric = "cosine"


def find_index(connection: apsw.Connection, name: str) -> IndexRow | None:
    rows = fetch(
        connection,
        "SELECT index_key, name, dimensions, several, metric FROM vector_indexes WHERE name = ?",
        (name,),
    )
    if not rows:
        return None
    index_key, name, dimensions, several, metric = rows[0]
    return IndexRow(index_key, name, dimensions, None if several is None else bool(several), metric)


def read_vectors(
    connection: apsw.Connection, document_ids: Sequence[str], names: Sequence[str] | None
) -> dict[str, dict[str, VectorValue]]:
    """document_id -> name -> numbers, or a list of them where a document may have several."""
    wanted = None if names is None else orjson.dumps([vector_name(name) for name in names]).decode()
    found: dict[str, dict[str, list[list[float]]]] = {}
    lists: set[str] = set()
    for document_id, name, several, packed in connection.execute(
        _READ, (orjson.dumps(list(document_ids)).decode(), wanted)
    ):
        found.setdefault(document_id, {}).setdefault(name, []).append(unpack_vector(packed))
        if several:
            lists.add(name)
    return {
        document_id: {name: values if name in lists else values[0] for name, values in by_name.items()}
        for document_id, by_name in found.items()
    }


class VectorWriter:
    """Writes vectors within one transaction; an index is made with the first vector of its name."""

    def __init__(self, connection: apsw.Connection, derived: str | None) -> None:
        """`derived` is the name of the vectors that Kennel makes: `replace` leaves those alone."""
        self._connection = connection
        self._derived = derived
        self._indexes: dict[str, IndexRow] = {}

    def replace(self, document_key: int, vectors: Mapping[str, VectorValue]) -> None:
        """The caller's own vectors of a document, in place of all that he gave before.

        Raises:
            InvalidInput: a vector that cannot be stored, or does not fit the earlier ones of its name.
        """
        brought = {vector_name(name) for name in vectors}
        derived = self._find(self._derived) if self._derived else None
        kept = derived.index_key if derived and derived.name not in brought else None
        self._connection.execute(
            "DELETE FROM vectors WHERE document_key = ? AND index_key IS NOT ?", (document_key, kept)
        )
        self.add_all(document_key, vectors)

    def add_all(self, document_key: int, vectors: Mapping[str, VectorValue]) -> None:
        """The first vectors of a document. Raises as `replace`."""
        named = {vector_name(name): value for name, value in vectors.items()}
        for name, value in named.items():
            self.add(document_key, name, value)

    def add(self, document_key: int, name: str, value: VectorValue) -> None:
        packed = pack_vectors(name, value)
        index = self._index(name, len(packed[0]) // 4, is_several(value))
        self._connection.executemany(
            "INSERT INTO vectors (document_key, index_key, vector) VALUES (?, ?, ?)",
            [(document_key, index.index_key, each) for each in packed],
        )

    def holds(self, document_key: int, name: str) -> bool:
        """Whether the document has a vector of this name."""
        index = find_index(self._connection, name)
        if index is None:
            return False
        sql = "SELECT 1 FROM vectors WHERE document_key = ? AND index_key = ? LIMIT 1"
        return bool(fetch(self._connection, sql, (document_key, index.index_key)))

    def drop(self, document_key: int, name: str) -> None:
        index = self._find(name)
        if index is not None:
            self._connection.execute(
                "DELETE FROM vectors WHERE document_key = ? AND index_key = ?",
                (document_key, index.index_key),
            )

    def _index(self, name: str, dimensions: int, several: bool) -> IndexRow:
        self._check_declared(name, dimensions)
        index = self._find(name)
        if index is None:
            self._connection.execute(
                "INSERT INTO vector_indexes (name, dimensions, several) VALUES (?, ?, ?)",
                (name, dimensions, several),
            )
            index = IndexRow(self._connection.last_insert_rowid(), name, dimensions, several)
            self._indexes[name] = index
        if index.dimensions != dimensions:
            raise InvalidInput.at(
                ("vectors", name),
                f"the vector has {dimensions} dimensions, those of this name in the collection have "
                f"{index.dimensions}; use another name",
            )
        if index.several is None:
            index = self._indexes[name] = self._settled(index, several)
        if index.several != several:
            expected = "a list of vectors" if index.several else "one vector"
            raise InvalidInput.at(
                ("vectors", name), f"{expected} is expected, as all documents of the collection have it"
            )
        return index

    def _find(self, name: str) -> IndexRow | None:
        if name not in self._indexes:
            found = find_index(self._connection, name)
            if found is None:
                return None
            self._indexes[name] = found
        return self._indexes[name]

    @cached_property
    def _declared(self) -> Mapping[str, int] | None:
        """Name -> dimensions of all vectors that there may be; None: any."""
        [[is_closed]] = fetch(self._connection, "SELECT is_closed FROM collection")
        if not is_closed:
            return None
        return dict(fetch(self._connection, "SELECT name, dimensions FROM vector_indexes ORDER BY name"))

    def _check_declared(self, name: str, dimensions: int) -> None:
        if self._declared is None or self._declared.get(name) == dimensions:
            return
        there_are = ", ".join(f"{each} ({size})" for each, size in self._declared.items()) or "none"
        raise InvalidInput.at(
            ("vectors", name),
            f"no vectors {name!r} of {dimensions} dimensions are declared; there are {there_are}",
        )

    def _settled(self, index: IndexRow, several: bool) -> IndexRow:
        """A declared index whose first vector says whether documents have several."""
        self._connection.execute(
            "UPDATE vector_indexes SET several = ? WHERE index_key = ?", (several, index.index_key)
        )
        return replace(index, several=several)
