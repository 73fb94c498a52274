"""`kennel keys`: API keys, made and revoked on the server's own machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, cast

import typer
from redis import Redis
from rich.console import Console
from rich.table import Table

from ops.installation import DataDirOption, installation_redis
from ops.options import load_settings
from shared.clock import utc_now_iso
from shared.models.api_key import ALL_PERMISSIONS, DEFAULT_WAIT_MAX_S, LOCAL_USER, KeyRecord, Permission
from shared.stores import api_keys

app = typer.Typer(help="Create, list, rotate and revoke API keys.", no_args_is_help=True)

EXPIRES_IN_DAYS_MAX = 36_500
NameArgument = Annotated[str, typer.Argument(help="The key's name, unique in this installation.")]


@app.command()
def create(
    name: NameArgument,
    *,
    default_wait: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=DEFAULT_WAIT_MAX_S,
            help="Seconds that execute waits for the result, for clients that never poll.",
        ),
    ] = None,
    namespace: Annotated[
        list[str] | None, typer.Option(help="Id of a namespace it may use; may be repeated. Default: all.")
    ] = None,
    permission: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(ALL_PERMISSIONS)}; may be repeated. Default: all."),
    ] = None,
    expires_in_days: Annotated[
        float | None,
        typer.Option(min=0, max=EXPIRES_IN_DAYS_MAX, help="Days until it expires. Default: never."),
    ] = None,
    user: Annotated[str, typer.Option(help="Email address of whom it belongs to.")] = LOCAL_USER,
    data_dir: DataDirOption = None,
) -> None:
    """Create a key and print its secret, which is stored nowhere: this is the only time it is shown."""
    expires_at = datetime.now(UTC) + timedelta(days=expires_in_days) if expires_in_days else None
    with _store(data_dir) as redis:
        secret, record = api_keys.create_key(
            redis,
            name,
            user_id=user,
            permissions=cast("list[Permission]", permission) or ALL_PERMISSIONS,
            default_wait_s=default_wait,
            namespaces=namespace,
            expires_at=expires_at,
        )
    _show("Created", record, secret)


@app.command("list")
def list_(data_dir: DataDirOption = None) -> None:
    """List all keys. Secrets are not stored and cannot be shown."""
    with _store(data_dir) as redis:
        records = api_keys.list_keys(redis)
    table = Table(
        *("name", "user", "key", "status", "permissions", "namespaces", "default wait", "created", "expires"),
        box=None,
    )
    for record in records:
        table.add_row(*_row(record))
    Console().print(table)


@app.command()
def rotate(name: NameArgument, data_dir: DataDirOption = None) -> None:
    """Give a key a new secret and print it. The old one is refused within 2 seconds."""
    with _store(data_dir) as redis:
        secret, record = api_keys.rotate_key(redis, name)
    _show("Rotated", record, secret)


@app.command()
def revoke(name: NameArgument, data_dir: DataDirOption = None) -> None:
    """Refuse a key from now on; running executions go on. Takes effect within 2 seconds."""
    with _store(data_dir) as redis:
        record = api_keys.revoke_key(redis, name)
    typer.echo(f"Revoked {record.name} ({record.key_id}).")


def _show(what: str, record: KeyRecord, secret: str) -> None:
    """The secret alone goes to stdout, so that it can be piped."""
    typer.echo(f"{what} {record.name} ({record.key_id}). Keep the secret, it is not shown again:", err=True)
    typer.echo(secret)


def _row(record: KeyRecord) -> list[str]:
    return [
        record.name,
        record.user_id,
        f"{record.key_prefix}…",
        record.status_at(utc_now_iso()),
        ",".join(record.permissions),
        "all" if record.namespaces is None else ",".join(record.namespaces),
        "-" if record.default_wait_s is None else f"{record.default_wait_s:g} s",
        record.created_at,
        record.expires_at or "never",
    ]


@contextmanager
def _store(data_dir: Path | None) -> Iterator[Redis]:
    with installation_redis(load_settings(data_dir=data_dir)) as redis:
        yield redis
