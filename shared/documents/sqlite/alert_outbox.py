"""The outbox of alerts: documents that were written and that no alert has been asked about.

A row enters in the transaction that writes its document, and leaves once the runs of all alerts are
submitted. It carries the number of its write: a document that is written again meanwhile stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile

import apsw
import orjson

from shared.documents.sqlite.rows import fetch
from shared.documents.store import Ingested

_ADD = "INSERT OR REPLACE INTO alert_outbox (document_id, write_seq) SELECT value, ?2 FROM json_each(?1)"
_OLDEST = "SELECT document_id, write_seq FROM alert_outbox ORDER BY write_seq, document_id LIMIT ?"
_REMOVE = "DELETE FROM alert_outbox WHERE document_id = ? AND write_seq = ?"
_FORGET = "DELETE FROM alert_outbox WHERE document_id IN (SELECT value FROM json_each(?))"
_IS_EMPTY = "SELECT NOT EXISTS (SELECT 1 FROM alert_outbox)"


def add(connection: apsw.Connection, document_ids: Iterable[str], write_seq: int) -> None:
    connection.execute(_ADD, (orjson.dumps(list(document_ids)).decode(), write_seq))


def oldest(connection: apsw.Connection, limit: int) -> list[Ingested]:
    """Whole writes only, but for a single one of more than `limit` documents."""
    rows = [Ingested(*row) for row in connection.execute(_OLDEST, (limit + 1,))]
    if len(rows) <= limit:
        return rows
    last = rows[-1].write_seq
    return list(takewhile(lambda row: row.write_seq < last, rows)) or rows[:limit]


def remove(connection: apsw.Connection, asked: Sequence[Ingested]) -> None:
    connection.executemany(_REMOVE, [(row.document_id, row.write_seq) for row in asked])


def forget(connection: apsw.Connection, document_ids: Sequence[str]) -> None:
    """They are deleted, and no alert finds them any more."""
    connection.execute(_FORGET, (orjson.dumps(list(document_ids)).decode(),))


def is_empty(connection: apsw.Connection) -> bool:
    return bool(fetch(connection, _IS_EMPTY)[0][0])
