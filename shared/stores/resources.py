"""Namespaces, collections, retrievers and alerts in Redis: one class for all of them.

Names are unique within a scope (a namespace's id, or `keys.INSTALLATION`), newest comes first, and what
another scope holds is not found here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, NoReturn

from shared import keys
from shared.clock import now_ms
from shared.errors import Conflict, NotFound
from shared.models.resource import Resource
from shared.redis_link import Argument, RedisLink
from shared.stores.reads import reading

Kind = Literal["namespace", "collection", "retriever", "alert"]

SCOPE_MAX = 10_000  # resources of one kind in one scope: a list with a filter reads them all
_CHUNK = 500  # bodies or ids in one reply
_USERS: Mapping[str, str] = {"retriever": "alert", "alert": "collection"}  # what uses resources of a kind


class ResourceStore:
    """The resources of one kind. Every method is one atomic round trip unless it says otherwise."""

    def __init__(self, redis: RedisLink, kind: Kind) -> None:
        self._redis = redis
        self.kind = kind
        self.name_field = "name" if kind == "alert" else f"{kind}_name"

    async def create(
        self,
        scope: str,
        resource_id: str,
        name: str,
        body: bytes,
        *,
        parent: str | None = None,
        definition: bytes | None = None,
        links: Sequence[Argument] = (),
    ) -> None:
        """Store version 1. Repeatable with the same id.

        Args:
            parent: Key of the record that must exist, e.g. the namespace's.
            links: What it uses, as shared/lua/alerts.lua wants it of its kind.

        Raises:
            Conflict: the name or id is taken, or the scope is full.
            NotFound: the parent is gone, or what it uses.
        """
        snapshot_key = keys.definition(resource_id, 1) if definition is not None else ""
        answer = await self._redis.fcall(
            f"create_{self.kind}",
            *self._keys(scope, resource_id),
            parent or "",
            resource_id,
            name,
            now_ms(),
            body,
            1,
            snapshot_key,
            definition or b"",
            SCOPE_MAX,
            *links,
        )
        self._check_created(answer, scope, resource_id, name)

    def _check_created(self, answer: list[bytes], scope: str, resource_id: str, name: str) -> None:
        match answer[0]:
            case b"taken":
                raise Conflict(
                    f"a {self.kind} named {name!r} exists ({answer[1].decode()}); choose another name",
                    code=f"{self.kind}_name_taken",
                    details={f"{self.kind}_id": answer[1].decode()},
                )
            case b"exists":
                raise Conflict(
                    f"the id {resource_id!r} is in use; choose another one, or none",
                    code=f"{self.kind}_id_taken",
                )
            case b"deleting":
                raise Conflict(
                    f"{self.kind} {resource_id!r} is still being deleted; try again shortly",
                    code=f"{self.kind}_being_deleted",
                )
            case b"full":
                raise Conflict(
                    f"there are {SCOPE_MAX} {self.kind}s, the most one scope can hold; delete some first",
                    code=f"{self.kind}_limit",
                )
            case b"orphan":
                raise NotFound(f"namespace {scope!r} does not exist any more")
            case b"unlinked":
                raise NotFound(f"{answer[1].decode()} was deleted meanwhile; use another one")

    async def update(
        self,
        scope: str,
        found: Resource,
        names: tuple[str, str],
        body: bytes,
        *,
        definition: bytes | None = None,
        old_definition_ttl_s: int = 0,
        links: Sequence[Argument] = (),
    ) -> bool:
        """Store the next version of what was found; False when somebody else changed it meanwhile.

        Args:
            names: the old name and the new one.
            definition: the snapshot of the new version; the old one lives on for what runs it.
            links: As in `create`.

        Raises:
            Conflict: the new name is taken. NotFound: it was deleted, or what it uses.
        """
        resource_id, version = found.resource_id, found.version
        has_definition = definition is not None
        answer = await self._redis.fcall(
            f"update_{self.kind}",
            *self._keys(scope, resource_id)[:2],
            resource_id,
            *names,
            version,
            body,
            keys.definition(resource_id, version) if has_definition else "",
            keys.definition(resource_id, version + 1) if has_definition else "",
            definition or b"",
            old_definition_ttl_s,
            *links,
        )
        if answer[0] == b"missing":
            raise NotFound(f"{self.kind} {resource_id} was deleted meanwhile")
        self._check_created(answer, scope, resource_id, names[1])
        return bool(answer[0] == b"updated")

    async def find(self, scope: str, id_or_name: str) -> Resource | None:
        """The resource with this id, else with this name; retrievers come with their definition."""
        with reading():
            found = await self._redis.fcall(
                "find_resource",
                keys.resource(self.kind, ""),
                keys.resource_names(self.kind, scope),
                keys.resource_ids(self.kind, scope),
                id_or_name,
                int(self.kind == "retriever"),
            )
        if found is None:
            return None
        return Resource(found[0].decode(), int(found[1]), found[2], found[3])

    async def get(self, scope: str, id_or_name: str) -> Resource:
        """As `find`.

        Raises:
            NotFound: the scope holds no such resource.
        """
        found = await self.find(scope, id_or_name)
        if found is None:
            raise NotFound(
                f"no {self.kind} has the id or name {id_or_name!r} here; list them to see what there is"
            )
        return found

    async def ids(self, scope: str) -> list[str]:
        """Every id of the scope, newest first; at most `SCOPE_MAX`."""
        with reading():
            ids: list[bytes] = await self._redis.execute(
                "ZREVRANGE", keys.resource_ids(self.kind, scope), 0, -1
            )
        return [resource_id.decode() for resource_id in ids]

    async def bodies(self, ids: Sequence[str]) -> list[bytes]:
        """Bodies in the order of `ids`, those that are gone left out. A round trip for each 500."""
        bodies: list[bytes | None] = []
        for start in range(0, len(ids), _CHUNK):
            with reading():
                bodies += await self._redis.fcall(
                    "read_resources", keys.resource(self.kind, ""), *ids[start : start + _CHUNK]
                )
        return [body for body in bodies if body is not None]

    async def delete(
        self,
        scope: str,
        resource_id: str,
        name: str,
        *links: Argument,
        fading_s: int = 0,
        even_used: bool = False,
    ) -> None:
        """Remove the record and free its name.

        Args:
            links: Keys that live on for `fading_s` seconds; of an alert what shared/lua/alerts.lua says.
            even_used: Also when other resources use it.

        Raises:
            Conflict: they do; the details name them.
        """
        word, *users = await self._redis.fcall(
            f"delete_{self.kind}",
            *self._keys(scope, resource_id),
            resource_id,
            name,
            "1" if even_used else "",
            fading_s,
            *links,
        )
        if word == b"used":
            self._refuse_used(resource_id, [user.decode() for user in users])

    def _refuse_used(self, resource_id: str, users: Sequence[str]) -> NoReturn:
        user = _USERS[self.kind]
        raise Conflict(
            f"{self.kind} {resource_id} is used by the {user}s {', '.join(sorted(users))}; "
            f"change or delete those first",
            code=f"{self.kind}_in_use",
            details={f"{user}_ids": sorted(users)},
        )

    def _keys(self, scope: str, resource_id: str) -> tuple[str, str, str]:
        return (
            keys.resource(self.kind, resource_id),
            keys.resource_names(self.kind, scope),
            keys.resource_ids(self.kind, scope),
        )


class DeletedNamespaces:
    """Namespaces that are hidden and wait to be purged; survives a crash of the process that purges."""

    def __init__(self, redis: RedisLink, *, task_ttl_s: int) -> None:
        self._redis = redis
        self._task_ttl_s = task_ttl_s

    async def hide(self, namespace_id: str, name: str, task_id: str) -> str:
        """Make the namespace disappear at once. Atomic.

        Returns:
            The task id of its deletion: the first one when it is being deleted already.
        """
        kind, scope = "namespace", keys.INSTALLATION
        kept = await self._redis.fcall(
            "hide_namespace",
            keys.resource(kind, namespace_id),
            keys.resource_names(kind, scope),
            keys.resource_ids(kind, scope),
            namespace_id,
            name,
            task_id,
        )
        return str(kept.decode())

    async def waiting(self) -> list[str]:
        """Ids of the namespaces that are still to be purged."""
        with reading():
            return [
                namespace_id.decode() for namespace_id in await self._redis.execute("HKEYS", keys.DELETING)
            ]

    async def purged(self, namespace_id: str) -> None:
        """Its books go with it; what they counted stays in those of the installation."""
        await self._redis.fcall("namespace_purged", namespace_id, self._task_ttl_s)

    async def of_task(self, task_id: str) -> tuple[str, bool] | None:
        """(namespace id, whether nothing of it is left) of a deletion; None: there is no such task."""
        with reading():
            done, waiting = await asyncio.gather(
                self._redis.execute("GET", keys.deletion(task_id)),
                self._redis.execute("HGETALL", keys.DELETING),
            )
        if done is not None:
            return done.decode(), True
        found = {task: namespace for namespace, task in zip(waiting[::2], waiting[1::2], strict=True)}
        namespace_id = found.get(task_id.encode())
        return None if namespace_id is None else (namespace_id.decode(), False)


async def cancel_pending(
    redis: RedisLink,
    retriever_id: str,
    reason: str,
    *,
    result_ttl_s: int,
    summary_ttl_s: int,
    history_max: int,
) -> int:
    """Cancel the executions of a retriever that have not started. One round trip for each 500.

    Args:
        reason: The error as JSON text.

    Returns:
        How many were cancelled.
    """
    cancelled = 0
    async for batch in _pending(redis, retriever_id):
        answers = await asyncio.gather(
            *(
                redis.fcall("cancel", each, reason, result_ttl_s, summary_ttl_s, history_max, "pending")
                for each in batch
            )
        )
        cancelled += answers.count([b"cancelled"])
    return cancelled


async def _pending(redis: RedisLink, retriever_id: str) -> AsyncIterator[list[bytes]]:
    """Ids of pending executions in order of submission, 500 at a time; ends because nothing new can join."""
    behind: bytes | str = "-inf"
    while True:
        reply: list[bytes] = await redis.execute(
            *("ZRANGE", keys.history(retriever_id, "pending"), behind, "+inf", "BYSCORE"),
            *("LIMIT", 0, _CHUNK, "WITHSCORES"),
        )
        if not reply:
            return
        yield reply[::2]
        behind = b"(" + reply[-1]
