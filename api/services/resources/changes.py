"""Changing a stored resource: read, change, store if nobody was faster, else once more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson

from shared.clock import utc_now_iso
from shared.errors import Conflict
from shared.models.resource import Resource
from shared.redis_link import Argument
from shared.stores.resources import ResourceStore

_TRIES = 10

# The body after the change, and for retrievers the snapshot that goes with it.
Change = Callable[[Resource], Awaitable[tuple[dict[str, Any], bytes | None]]]


async def changed(
    store: ResourceStore,
    scope: str,
    id_or_name: str,
    change: Change,
    *,
    old_definition_ttl_s: int = 0,
    links_of: Callable[[dict[str, Any]], Sequence[Argument]] = lambda body: (),
) -> tuple[Resource, dict[str, Any]]:
    """Apply a change to whichever version is current.

    Args:
        links_of: What the changed body uses (see `ResourceStore.create`).

    Returns:
        What it was before, and the body that is stored now.

    Raises:
        NotFound: there is no such resource. Conflict: its new name is taken, or others keep changing it.
        Whatever `change` raises.
    """
    name = store.name_field
    for _ in range(_TRIES):
        found = await store.get(scope, id_or_name)
        body, definition = await change(found)
        body["updated_at"] = utc_now_iso()
        if await store.update(
            scope,
            found,
            (found.answer()[name], body[name]),
            orjson.dumps(body),
            definition=definition,
            old_definition_ttl_s=old_definition_ttl_s,
            links=links_of(body),
        ):
            return found, body
    raise Conflict(f"{store.kind} {id_or_name!r} is being changed by others all the time; try again")
