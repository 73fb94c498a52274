"""`kennel collections`: list, show, create, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from client.cli.output import show_resource, show_resources
from client.cli.session import Session, YesOption, remote

app = typer.Typer(help="List, show, create and delete collections.", no_args_is_help=True)

CollectionArgument = Annotated[str, typer.Argument(metavar="COLLECTION", help="Id or name.")]
EmbedOption = Annotated[
    list[str] | None,
    typer.Option(help="Field whose text is embedded, to be found by meaning; may be repeated."),
]


def definition(name: str, embed: Sequence[str] | None, description: str | None = None) -> dict[str, Any]:
    """The body that creates a collection."""
    body: dict[str, Any] = {"collection_name": name, "description": description}
    if embed:
        body["feature_extractor"] = {
            "feature_extractor_name": "text_extractor",
            "version": "v1",
            "input_mappings": {"text": list(embed)},
        }
    return body


@remote(app, "list")
def list_(
    session: Session,
    *,
    search: Annotated[str | None, typer.Option(help="Part of an id, name or description.")] = None,
) -> None:
    """List the collections of the namespace, newest first."""
    show_resources(session, session.kennel.collections.list(search))


@remote(app, "show")
def show(session: Session, collection: CollectionArgument) -> None:
    """Show a collection as JSON, with its number of documents."""
    show_resource(session, session.kennel.collections.get(collection))


@remote(app, "create")
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="3 to 100 characters, unique in the namespace.")],
    *,
    embed: EmbedOption = None,
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
) -> None:
    """Create a collection."""
    created = session.kennel.collections.create(definition(name, embed, description))
    if session.as_json:
        show_resource(session, created)
    else:
        session.out.print(f"{created.resource_id} {created.name} is created", markup=False, soft_wrap=True)


@remote(app, "delete")
def delete(session: Session, collection: CollectionArgument, *, yes: YesOption = False) -> None:
    """Delete a collection with its documents."""
    if not yes:
        typer.confirm(f"Delete the collection {collection} and its documents?", abort=True, err=True)
    session.kennel.collections.delete(collection)
    session.err.print(f"{collection} is deleted", markup=False, soft_wrap=True)
