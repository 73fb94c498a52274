"""Holding a request until what it asks for has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

# Publications can be lost; a waiting request looks again this often.
LOOK_AGAIN_S = 1.5


async def hold(
    first: T,
    read: Callable[[], Awaitable[T | None]],
    changed: asyncio.Event,
    wait_s: float,
    *,
    satisfied: Callable[[T], bool],
    is_hopeless: Callable[[T], Awaitable[bool]],
) -> T:
    """What is read once it satisfies, or as it is when the time is over or nobody could change it.

    Args:
        first: What was read when `changed` was listening already; given back if nothing can be read later.
        is_hopeless: Asked every now and then while nothing happens.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + wait_s
    seen = first
    while not satisfied(seen) and (left_s := ends_at - loop.time()) > 0:
        try:
            async with asyncio.timeout(min(left_s, LOOK_AGAIN_S)):
                await changed.wait()
        except TimeoutError:
            if await is_hopeless(seen):
                return seen
        changed.clear()
        now = await read()
        if now is None:
            return seen
        seen = now
    return seen
