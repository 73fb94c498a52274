"""SQLite's errors in Kennel's words: no caller ever sees an apsw exception."""

from __future__ import annotations

from pathlib import Path

import apsw

from shared.errors import KennelError, TooLarge, Unavailable

_BUSY = (apsw.BusyError, apsw.LockedError)
_BROKEN = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError)


def kennel_error(error: apsw.Error | OSError, path: Path) -> KennelError:
    """Unavailable for what may pass (busy, full, unreadable), another KennelError for what will not."""
    if isinstance(error, _BUSY):
        return Unavailable(f"collection file {path.name} is busy; retry")
    if isinstance(error, apsw.FullError):
        return Unavailable(f"the disk of {path.parent} is full; make room and retry")
    if isinstance(error, _BROKEN):
        return KennelError(f"{path} is damaged ({error}); restore it from a backup", code="damaged")
    if isinstance(error, apsw.TooBigError):
        return TooLarge(f"a document or query is over SQLite's limits: {error}; make it smaller")
    if isinstance(error, OSError):
        return Unavailable(f"cannot use {path}: {error.strerror}; check the data directory")
    return Unavailable(f"SQLite could not use {path}: {error}; check the data directory")
