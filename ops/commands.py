"""The command line and environment of every process of an installation.

Configuration travels in the environment only: a command line is visible to every user of the machine.
docker-compose.yml runs the same commands, and a test holds the two together.
"""

from __future__ import annotations

import hashlib
import os
import sys
from typing import Literal

from ops.child import Program
from shared.settings import Settings

FLOWER_USER = "kennel"
POOL_CLASS = "workers.pool:ThreadPool"
# A streaming or waiting client must not hold up the stop.
API_SHUTDOWN_S = 3
FLOWER_MAX_TASKS = 10_000
_SECRETS = ("api_key", "embeddings_api_key", "smtp_url")
_CELERY = ("-m", "celery", "--quiet", "-A", "workers.app")


def programs(settings: Settings, api_key: str, flower_password: str) -> list[Program]:
    """API, workers and Flower, in the order of their start. All fields of `settings` are final here."""
    env = environment(settings)
    workers = [
        Program(
            f"worker-{number}",
            (sys.executable, *worker_arguments(settings.pool, settings.threads, f"kennel-{number}@%h")),
            env | {"CELERY_CUSTOM_WORKER_POOL": POOL_CLASS} | workers_secrets(settings),
        )
        for number in range(1, settings.workers + 1)
    ]
    api = Program(
        "api",
        (sys.executable, *api_arguments(settings.host, settings.port)),
        env | {"KENNEL_API_KEY": api_key} | mail_secret(settings),
    )
    flower = Program(
        "flower",
        (sys.executable, *flower_arguments("127.0.0.1", settings.flower_port, settings.task_events)),
        env | flower_secrets(flower_password),
    )
    return [api, *workers, flower]


def api_arguments(host: str, port: int) -> tuple[str, ...]:
    """Arguments of Python."""
    return (
        *("-m", "uvicorn", "api.main:create_app", "--factory"),
        *(f"--host={host}", f"--port={port}", "--loop=uvloop", "--http=httptools"),
        *("--no-access-log", "--no-proxy-headers", "--no-server-header"),
        f"--timeout-graceful-shutdown={API_SHUTDOWN_S}",
    )


def worker_arguments(pool: Literal["threads", "prefork"], threads: int, node_name: str) -> tuple[str, ...]:
    """Arguments of Python. The thread pool is our own, named by CELERY_CUSTOM_WORKER_POOL."""
    return (
        *(
            *_CELERY,
            "worker",
            f"--pool={'custom' if pool == 'threads' else pool}",
            f"--concurrency={threads}",
        ),
        *(f"--hostname={node_name}", "--without-gossip", "--without-mingle", "--loglevel=WARNING"),
    )


def flower_arguments(address: str, port: int, task_events: bool) -> tuple[str, ...]:
    """Arguments of Python. Flower switches events on in all workers of the broker unless told not to.

    Its warnings are left out: it warns whenever a worker is slow to answer its questions.
    """
    return (
        *(*_CELERY, "flower", f"--address={address}", f"--port={port}", "--read_only=True"),
        *(f"--enable_events={task_events}", f"--max_tasks={FLOWER_MAX_TASKS}", "--logging=error"),
    )


def flower_secrets(password: str) -> dict[str, str]:
    """Flower's secrets as it takes them from its environment."""
    cookie_secret = hashlib.sha256(f"flower cookie {password}".encode()).hexdigest()
    return {"FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{password}", "FLOWER_COOKIE_SECRET": cookie_secret}


def workers_secrets(settings: Settings) -> dict[str, str]:
    """The key of the embeddings endpoint, which only workers ask, and the mail server."""
    key = settings.embeddings_api_key.get_secret_value()
    return {"KENNEL_EMBEDDINGS_API_KEY": key} | mail_secret(settings)


def mail_secret(settings: Settings) -> dict[str, str]:
    """The address of the mail server, which may hold a password. The API asks whether there is one."""
    return {"KENNEL_SMTP_URL": settings.smtp_url.get_secret_value()}


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment with every setting spelled out, but without the secret ones."""
    values = settings.model_dump(mode="json", exclude=set(_SECRETS), exclude_none=True)
    secrets = {f"KENNEL_{name.upper()}" for name in _SECRETS}
    inherited = {name: value for name, value in os.environ.items() if name not in secrets}
    return {
        **inherited,
        **{f"KENNEL_{name.upper()}": str(value) for name, value in values.items()},
        "PYTHONUNBUFFERED": "1",
    }
