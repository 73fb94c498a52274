"""Open connections: one per collection file and thread, few and small, never used across a fork."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import apsw

from shared.documents.sqlite.schema import check_version, upgrade
from shared.documents.store import CollectionRef
from shared.errors import NotFound
from shared.filters.sql_functions import register_functions

MAX_HANDLES_PER_THREAD = 16
BUSY_TIMEOUT_MS = 5_000
# FULL: a write is on the disk when it is answered. NORMAL loses the last commits in a power cut and saves
# 0.8 ms of a commit (measured). Memory maps spare a copy per page read and shorten scans by a fifth.
_PRAGMAS = "PRAGMA synchronous = FULL; PRAGMA cache_size = -4096; PRAGMA mmap_size = 268435456"


@dataclass(frozen=True, slots=True)
class _Handle:
    connection: apsw.Connection
    path: str
    file: tuple[int, int]  # device and inode: a file dropped and made again is another file


@dataclass(frozen=True, slots=True)
class _ThreadHandles:
    """The connections of one thread, least recently used first."""

    owner: threading.Thread
    handles: OrderedDict[CollectionRef, _Handle]


class Handles:
    """Connections to the collection files below a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # Keyed by process and thread. After a fork the parent's entries stay here untouched: closing an
        # inherited connection could delete the parent's write-ahead log.
        self._by_thread: dict[tuple[int, int], _ThreadHandles] = {}

    def path(self, ref: CollectionRef) -> Path:
        return self._directory / ref.namespace_id / f"{ref.collection_id}.db"

    def connection(self, ref: CollectionRef) -> apsw.Connection:
        """This thread's connection to a collection.

        Raises:
            NotFound: the collection does not exist (any more).
            KennelError: a newer Kennel wrote the file.
            apsw.Error: the file cannot be opened.
        """
        handles = self._of_this_thread()
        handle = handles.get(ref)
        if handle is None or handle.file != _identity(handle.path):
            if handle is not None:
                handles.pop(ref).connection.close()
            handle = handles[ref] = self._open(ref)
            if len(handles) > MAX_HANDLES_PER_THREAD:
                handles.popitem(last=False)[1].connection.close()
        handles.move_to_end(ref)
        return handle.connection

    def _of_this_thread(self) -> OrderedDict[CollectionRef, _Handle]:
        key = os.getpid(), threading.get_ident()
        mine = self._by_thread.get(key)
        # A thread may get the number of one that has ended.
        if mine is None or mine.owner is not threading.current_thread():
            self._forget_dead_threads()
            mine = self._by_thread[key] = _ThreadHandles(threading.current_thread(), OrderedDict())
        return mine.handles

    def _forget_dead_threads(self) -> None:
        pid = os.getpid()
        for key, of_thread in list(self._by_thread.items()):
            if key[0] == pid and not of_thread.owner.is_alive():
                self._by_thread.pop(key, None)  # the last reference: freeing a connection closes it

    def _open(self, ref: CollectionRef) -> _Handle:
        path = str(self.path(ref))
        file = _identity(path)
        if file is None:
            raise NotFound(f"collection {ref.collection_id} does not exist in namespace {ref.namespace_id}")
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            # Otherwise SQLite plans a prepared statement anew whenever other values are bound to it.
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
            upgrade(connection)
            check_version(connection, path)
            connection.execute(_PRAGMAS).fetchall()
            register_functions(connection)
        except BaseException:
            connection.close()
            raise
        return _Handle(connection, path, file)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path costs more than the call itself, on every read
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
