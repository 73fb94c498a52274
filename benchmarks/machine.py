"""The facts without which figures mean nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version

import psutil

from ops.redis_server import VERSION_TIMEOUT_S, find_server

_LOOK_S = 1.0
_PACKAGES = ("celery", "kombu", "redis", "fastapi", "uvicorn", "uvloop", "apsw")


def facts() -> dict[str, str]:
    """Ordered name -> value."""
    return {
        "cores": str(os.cpu_count()),
        "load average": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "others use": f"{others_percent():.0f} % of the cores",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "redis server": _server_version(),
        "packages": " ".join(f"{name} {version(name)}" for name in _PACKAGES),
    }


def others_percent() -> float:
    """How much of all cores other programs use in this second."""
    return float(psutil.cpu_percent(_LOOK_S))


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
