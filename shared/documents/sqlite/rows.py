"""One way to ask a connection for rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw


def fetch(connection: apsw.Connection, sql: str, values: Sequence[Any] = ()) -> list[Any]:
    """All rows, as tuples of whatever the columns hold."""
    return connection.execute(sql, values).fetchall()
