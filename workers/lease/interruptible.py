"""A stretch of a thread's work that another thread can end."""

from __future__ import annotations

import ctypes
import threading
from types import TracebackType

_set_async_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exception.argtypes = (ctypes.c_ulong, ctypes.py_object)
_NONE_ANY_MORE = ctypes.py_object()  # NULL: takes back what has not been raised yet


class Interrupted(BaseException):
    """Raised in the midst of a stage. No `Exception`, so that a stage that catches those lets it pass."""


class Interruptible:
    """The body of a `with` statement, of one thread. Catch `Interrupted` around it.

    CPython raises the exception where it next runs Python code of that thread (C API,
    PyThreadState_SetAsyncExc): a call into C must return first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread_id: int | None = None

    @property
    def is_running(self) -> bool:
        return self._thread_id is not None

    @property
    def owns_process(self) -> bool:
        """Nothing else runs in this process: a pool of processes runs a task in a child's main thread."""
        return self._thread_id == threading.main_thread().ident

    def interrupt(self) -> None:
        """Raise `Interrupted` where it is; nothing happens when it is over. At most once."""
        with self._lock:
            if self._thread_id is not None:
                _set_async_exception(self._thread_id, Interrupted)

    def __enter__(self) -> None:
        self._thread_id = threading.get_ident()

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        with self._lock:
            thread_id, self._thread_id = self._thread_id, None
        if thread_id is not None:
            _set_async_exception(thread_id, _NONE_ANY_MORE)  # one on its way must not hit what follows
