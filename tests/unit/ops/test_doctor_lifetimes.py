"""The doctor knows every key that shared/keys.py says expires."""

from __future__ import annotations

import re

from ops.doctor.examine import kind_of
from ops.doctor.lifetimes import lifetimes_s
from shared import keys
from shared.settings import Settings

# These have checks of their own: they expire at times, or with another key.
OTHERS = {"exec", "batch", "lines"}


def rows() -> list[tuple[str, str]]:
    """(key, lifetime) of each row of the table."""
    cells = [[cell.strip() for cell in line.split("|")] for line in (keys.__doc__ or "").splitlines()]
    return [(row[1], row[5]) for row in cells if len(row) > 5 and row[1].startswith("kennel:")]


def test_every_key_that_expires_is_looked_at() -> None:
    expiring = {kind_of(name) for name, lifetime in rows() if re.match(r"\w+_ttl_s|with its|\d+ h", lifetime)}
    assert len(expiring) > 8
    assert expiring == lifetimes_s(Settings()).keys() | OTHERS


def test_a_key_is_of_the_kind_that_its_place_says() -> None:
    assert kind_of(keys.execution("exec_a")) == "exec"
    assert kind_of(keys.batch("batch_a")) == "batch"
    assert kind_of(keys.batch_lines("batch_a")) == "lines"
    assert kind_of(keys.batches("ns_a:lines")) == "batches"
    assert kind_of(keys.BOOKS) == ""
    assert kind_of(keys.books("ns_a")) == "books"
