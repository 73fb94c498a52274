"""Which process holds a lease, in words that a later process of the same machine can judge."""

from __future__ import annotations

import os
import uuid
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def process_name(worker: str) -> str:
    """`<worker>/<machine>/<pid>` of this process."""
    return f"{worker}/{_machine()}/{os.getpid()}"


def has_died(process: str, worker: str) -> bool:
    """Whether this names a process of `worker` on this machine that is certainly gone.

    A process of another worker or machine is never said to have died: only its lease tells.
    """
    name, _, pid = process.rpartition("/")
    if name != f"{worker}/{_machine()}" or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


@cache
def _machine() -> str:
    """The same until the next boot, where the system tells; else the network card's number."""
    try:
        return _BOOT_ID.read_text().strip()[:8]
    except OSError:
        return f"{uuid.getnode():012x}"
