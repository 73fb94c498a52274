"""The facts without which figures mean nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version

from ops.redis_server import VERSION_TIMEOUT_S, find_server

_PACKAGES = ("celery", "kombu", "redis", "fastapi", "uvicorn", "uvloop", "apsw")


def facts() -> dict[str, str]:
    """Ordered name -> value."""
    return {
        "cores": str(os.cpu_count()),
        "load average": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "redis server": _server_version(),
        "packages": " ".join(f"{name} {version(name)}" for name in _PACKAGES),
    }


def _server_version() -> str:
    """The first words of `redis-server --version`."""
    said = subprocess.run(
        [str(find_server()), "--version"],
        capture_output=True,
        text=True,
        timeout=VERSION_TIMEOUT_S,
        check=False,
    )
    return " ".join(said.stdout.split()[:3])
