"""A stretch of a thread's work that another thread can end."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from types import TracebackType

_set_async_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exception.argtypes = (ctypes.c_ulong, ctypes.py_object)
_CHECKS = 100  # turns of a loop, each of which raises what is on its way


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
        self._was_interrupted = False

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
                self._was_interrupted = True
                _set_async_exception(self._thread_id, Interrupted)

    def __enter__(self) -> None:
        self._thread_id = threading.get_ident()

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        with self._lock:
            self._thread_id = None
        if self._was_interrupted and kind is not Interrupted:
            _drop_one_on_its_way()


def _drop_one_on_its_way() -> None:
    """It must not hit what follows.

    To take it back (NULL instead of an exception) would leave CPython 3.11 looking for it at every call and
    in every loop of the process, for ever.
    """
    with contextlib.suppress(Interrupted):
        for _ in range(_CHECKS):
            pass
