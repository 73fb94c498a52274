"""What is done with API keys, as steps that ask Redis and decide; who runs them chooses the colour.

A step yields a call of a function of shared/lua and is sent its reply, so that the command line, which is
synchronous, and the API, which is not, run the same code (`shared.stores.api_keys.run`, `run_async`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from shared import keys
from shared.errors import Conflict, NotFound
from shared.models.api_key import BOOTSTRAP_NAME, ApiKey, KeyRecord
from shared.redis_sync import Argument, text, texts

KEYS_MAX = 10_000  # in an installation, revoked ones included: a list reads them all
_CHUNK = 500  # records in one reply
_TRIES = 10  # every further one means that somebody else has just changed the same key

T = TypeVar("T")


class Call(NamedTuple):
    function: str
    arguments: Sequence[Argument]
    writes: bool = False


Steps = Generator[Call, Any, T]
Edit = Callable[[ApiKey], ApiKey]


@dataclass(frozen=True, slots=True)
class _Held:
    """A key and its record as Redis has it, byte for byte, so that a change of it is noticed."""

    key: ApiKey
    raw: str


# A name, the key that it stood for, and the one that it is to stand for; None = free.
_Change = tuple[str, _Held | None, ApiKey | None]


def create(key: ApiKey) -> Steps[None]:
    """Store a new key. The name of a revoked key may be used again.

    Raises:
        Conflict: an active key has this name, or there are too many.
    """
    name = key.record.name
    for _ in range(_TRIES):
        held = yield from _find(name)
        _check_is_free(name, held)
        if (yield from _swap((name, held, key))):
            return
    raise _busy(name)


def ensure(key: ApiKey) -> Steps[KeyRecord | None]:
    """Store the key in the place of whatever had its name, once in the life of its secret.

    A secret that was given out before stays what it is now, or rotated or revoked: a start must not bring
    it back. Only the bootstrap key is always what the settings say.

    Returns:
        The record under this name; None when the secret belongs to another name now, or to none any more.
    """
    name = key.record.name
    for _ in range(_TRIES):
        held = yield from _find(name)
        if held is not None and held.key.key_hash == key.key_hash:
            return held.key.record
        if name != BOOTSTRAP_NAME and (yield Call("is_key_spent", [keys.api_key(""), key.key_hash])):
            return None
        if (yield from _swap((name, held, key))):
            return key.record
    raise _busy(name)


def change(name: str, edit: Edit) -> Steps[ApiKey]:
    """Replace a key by what `edit` makes of it: another record, another secret, another name.

    `edit` may be called again when somebody else changes the key at the same time.

    Raises:
        NotFound: no key has this name.
        Conflict: it is the bootstrap key, or an active key has the new name.
    """
    if name == BOOTSTRAP_NAME:
        raise Conflict(
            f"{BOOTSTRAP_NAME!r} is protected: it is what Kennel itself uses, and a start would restore it. "
            "To replace it, stop Kennel, set another KENNEL_API_KEY (or delete the file api_key in the data "
            "directory) and start again.",
            code="key_protected",
        )
    for _ in range(_TRIES):
        held = yield from _find(name)
        if held is None:
            raise not_found(name)
        edited = edit(held.key)
        if edited == held.key or (yield from _replace(held, edited)):
            return edited
    raise _busy(name)


def all_keys() -> Steps[list[ApiKey]]:
    """Every key that has a name, revoked ones included, ordered by name. One call for each 500, and one."""
    hashes = texts((yield Call("key_hashes", [keys.API_KEYS])))
    found: list[ApiKey] = []
    for start in range(0, len(hashes), _CHUNK):
        chunk = hashes[start : start + _CHUNK]
        records = yield Call("read_keys", [keys.api_key(""), *chunk])
        found += [
            ApiKey(each, KeyRecord.model_validate_json(raw))
            for each, raw in zip(chunk, records, strict=True)
            if raw is not None
        ]
    return sorted(found, key=lambda key: key.record.name)


def not_found(name: str) -> NotFound:
    return NotFound(f"no API key is named {name!r}; list them to see what there is")


def _find(name: str) -> Steps[_Held | None]:
    found = yield Call("find_key", [keys.API_KEYS, keys.api_key(""), name])
    digest, raw = texts(found)
    return _Held(ApiKey(digest, KeyRecord.model_validate_json(raw)), raw) if digest else None


def _replace(held: _Held, edited: ApiKey) -> Steps[bool]:
    """Whether it was done; False: somebody was faster."""
    old_name, new_name = held.key.record.name, edited.record.name
    if new_name == old_name:
        return (yield from _swap((old_name, held, edited)))
    target = yield from _find(new_name)
    _check_is_free(new_name, target)
    return (yield from _swap((old_name, held, None), (new_name, target, edited)))


def _check_is_free(name: str, held: _Held | None) -> None:
    if name == BOOTSTRAP_NAME or (held is not None and held.key.record.status == "active"):
        raise Conflict(
            f"an API key named {name!r} exists; choose another name or revoke it first", code="key_name_taken"
        )


def _swap(*changes: _Change) -> Steps[bool]:
    """Whether it was done; False: somebody was faster."""
    arguments: list[Argument] = [keys.API_KEYS, keys.api_key(""), KEYS_MAX]
    for name, held, key in changes:
        arguments.append(name)
        arguments += (held.key.key_hash, held.raw) if held else ("", "")
        arguments += (key.key_hash, key.record.model_dump_json()) if key else ("", "")
    answer = text((yield Call("swap_keys", arguments, writes=True)))
    if answer == "full":
        raise Conflict(
            f"there are {KEYS_MAX:,} API keys, the most there can be; use the name of a revoked one",
            code="key_limit",
        )
    if answer == "in_use":
        raise Conflict("this secret is that of another API key; choose another one", code="key_secret_taken")
    return answer == "swapped"


def _busy(name: str) -> Conflict:
    return Conflict(f"the API key {name!r} is being changed by others; try again", code="key_busy")
