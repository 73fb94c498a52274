"""The Lua library: composed from shared/lua, named by its content, loaded once per server.

The scripts are Redis functions, which survive a restart of the server, unlike cached scripts. The
library's name ends in a digest of its source, so processes of two versions work side by side.
Scripts build record keys themselves (the prefixes come from shared/keys.py): finishing an execution
claims the next one, whose id only the queue knows. They therefore need one primary, not a cluster.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from shared import keys
from shared.broker import QUEUES

_PARTS = (
    "base",
    "books",
    "queue",
    "record",
    "event_stream",
    "batch_counts",
    "history_lists",
    "transitions",
    "deliveries",
    "alert_runs",
    "submit",
    "claim",
    "heartbeat",
    "progress",
    "checkpoint",
    "finish",
    "cancel",
    "release",
    "retry",
    "sweep",
    "watch",
    "events",
    "extend",
    "batch",
    "history",
    "resources",
    "collection_work",
    "api_keys",
    "webhooks",
    "alerts",
    "alert_beat",
    "stats",
    "doctor",
)


@cache
def _body() -> str:
    folder = resources.files("shared") / "lua"
    named = {**keys.LUA, "QUEUES": " ".join(QUEUES)}
    prefixes = "".join(f"  {name} = '{prefix}',\n" for name, prefix in named.items())
    parts = [(folder / f"{part}.lua").read_text() for part in _PARTS]
    return f"local KEY = {{\n{prefixes}}}\n" + "\n".join(parts)


@cache
def digest() -> str:
    return hashlib.sha256(_body().encode()).hexdigest()[:10]


@cache
def library_source() -> str:
    """What `FUNCTION LOAD` takes."""
    version = digest()
    return f"#!lua name=kennel_{version}\nlocal VERSION = '{version}'\n{_body()}"


@cache
def function_name(name: str) -> str:
    """The versioned name to FCALL: submit -> kennel_submit_0123456789."""
    return f"kennel_{name}_{digest()}"
