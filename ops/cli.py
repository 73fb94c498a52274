"""The `kennel` command."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import typer

from client.cli import batch, collections, executions, load, retrievers
from ops import keys_cli
from ops.doctor_cli import doctor
from ops.options import load_settings
from ops.up import up

app = typer.Typer(
    name="kennel",
    help="An asynchronous execution backend for retrievers: submit, run on Celery workers, poll.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (executions.app, batch.app, load.app):
    app.add_typer(commands)
app.add_typer(retrievers.app, name="retrievers")
app.add_typer(collections.app, name="collections")
app.add_typer(keys_cli.app, name="keys")
app.command("doctor")(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kennel {version('kennel')}")
        raise typer.Exit


@app.callback()
def kennel(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """An asynchronous execution backend for retrievers: submit, run on Celery workers, poll."""


@app.command("up")
def up_command(
    *,
    host: Annotated[str | None, typer.Option(help="Address the API listens on. Default: 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the API; 0 = any free one. Default: 8000.")
    ] = None,
    flower_port: Annotated[
        int | None, typer.Option(help="Port of Flower, on loopback; 0 = any free one. Default: 5555.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Documents, the embedded Redis, generated secrets. Default: .kennel.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; 0 = one per core. Default: 0.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Executions at a time per worker process. Default: 8.")
    ] = None,
    pool: Annotated[
        Literal["threads", "prefork"] | None,
        typer.Option(help="Celery pool of a worker process. Default: threads."),
    ] = None,
    demo: Annotated[
        bool | None, typer.Option(help="Load the demo namespace on first start. Default: demo.")
    ] = None,
    task_events: Annotated[
        bool | None,
        typer.Option(help="Show each execution in Flower; off is faster. Default: task-events."),
    ] = None,
    log_format: Annotated[
        Literal["human", "json"] | None,
        typer.Option(help="Log lines for people or machines. Default: human."),
    ] = None,
) -> None:
    """Start Redis (unless KENNEL_REDIS_URL is set), the API, the workers and Flower; Ctrl-C stops them all.

    Every option is also an environment variable: --flower-port is KENNEL_FLOWER_PORT. The option wins.
    """
    options = locals()
    raise typer.Exit(up(load_settings(**options)))


def main() -> None:
    app()


if __name__ == "__main__":
    main()
