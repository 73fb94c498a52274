"""Where commands that tend an installation find its Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from redis import Redis
from redis.exceptions import RedisError

from ops.data_dir import DataDir
from ops.errors import CannotStart
from ops.redis_probe import connect
from shared.errors import KennelError
from shared.logs import mask
from shared.settings import Settings

EXIT_FAILED = 2
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Where `kennel up` runs, if not in KENNEL_DATA_DIR.")
]


@contextmanager
def installation_redis(settings: Settings) -> Iterator[Redis]:
    """The installation's Redis; anything that goes wrong ends the command with one line, exit code 2."""
    try:
        with connect(_redis_url(settings)) as redis:
            yield redis
    except (KennelError, CannotStart) as error:
        _fail(str(error))
    except RedisError as error:
        _fail(f"Redis cannot be reached ({mask(str(error))}); is `kennel up` running?")


def _redis_url(settings: Settings) -> str:
    """KENNEL_REDIS_URL, else the embedded server's address from the data directory."""
    if "redis_url" in settings.model_fields_set:
        return settings.redis_url
    url_file = DataDir(settings.data_dir).redis_url_file
    try:
        return url_file.read_text().strip()
    except FileNotFoundError as error:
        raise CannotStart(
            f"There is no Kennel in {settings.data_dir.absolute()}; start one with `kennel up`, "
            "name its directory with --data-dir, or set KENNEL_REDIS_URL."
        ) from error


def _fail(message: str) -> NoReturn:
    typer.echo(f"kennel: {message}", err=True)
    raise typer.Exit(EXIT_FAILED)
