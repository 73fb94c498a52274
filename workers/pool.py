"""Celery's thread pool, with the event loop woken when a task ends.

Chosen with `-P custom` and CELERY_CUSTOM_WORKER_POOL=workers.pool:ThreadPool. With
`worker_disable_prefetch`, kombu stops reading the queue while every slot is taken. In the stock pool
nothing tells the loop that a thread has finished, so it sleeps until its next timer, about a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.concurrency.thread import TaskPool


def _nothing() -> None:
    """Scheduling anything wakes the loop; the loop then looks at its free slots by itself."""


class ThreadPool(TaskPool):  # type: ignore[misc]
    _loop: Any = None

    def register_with_event_loop(self, loop: Any) -> None:
        self._loop = loop

    def on_apply(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        **options: Any,
    ) -> Any:
        def done(*results: Any, **named: Any) -> None:
            if callback is not None:
                callback(*results, **named)
            if self._loop is not None:
                self._loop.call_soon(_nothing)

        return super().on_apply(target, args, kwargs, done, accept_callback, **options)
