"""`kennel load`: store the documents of a file in a collection."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from typing import Annotated, Any

import orjson
import typer
from rich.text import Text

from client.cli.collections import EmbedOption, definition
from client.cli.files import RETRY_S, Done, FileArgument, FormatOption, progress_bar
from client.cli.output import print_json
from client.cli.session import Session, remote
from client.errors import Conflict, InvalidInput, NotConfigured, TooLarge
from client.models import Upserted
from client.records import Record, Source
from client.resources import BATCH_DOCUMENTS, BATCH_MAX_DOCUMENTS

app = typer.Typer()


@remote(app, "load", retry_s=RETRY_S)
def load(
    session: Session,
    file: FileArgument,
    *,
    collection: Annotated[str, typer.Option("--collection", "-c", help="Id or name.")],
    create: Annotated[bool, typer.Option("--create", help="Create the collection if it is missing.")] = False,
    embed: EmbedOption = None,
    id_field: Annotated[
        str, typer.Option(help="Field that is the document's id; without it the id is made of the content.")
    ] = "document_id",
    batch_size: Annotated[
        int, typer.Option(min=1, max=BATCH_MAX_DOCUMENTS, help="Documents in a request.")
    ] = BATCH_DOCUMENTS,
    format_: FormatOption = None,
) -> None:
    """Store the documents of a file; run again, it replaces them, so nothing is doubled.

    A line is a document's fields, or {"document_id": …, "payload": {…}, "vectors": {…}}. In CSV the first
    line names the fields; cells that are JSON numbers, booleans, lists or objects become those.
    """
    source = Source.of(file, format_)
    if embed and not create:
        raise NotConfigured("--embed is for a collection that --create makes; add --create")
    if create:
        _create(session, definition(collection, embed))
    reader = _Reader(source, id_field)
    stored = 0
    with progress_bar(session, "documents", source.count()) as advance:

        def on_batch(upserted: Upserted) -> None:
            nonlocal stored
            stored += len(upserted.document_ids)
            reader.forget(len(upserted.document_ids))
            advance(Done(stored, stored))

        try:
            session.kennel.documents.upsert_all(
                collection, reader.documents(), batch_size=batch_size, on_batch=on_batch
            )
        except InvalidInput as error:
            raise NotConfigured(f"{reader.place(error)}{error} ({stored:,} are stored)") from error
        except TooLarge as error:
            raise NotConfigured(f"{error}; use a smaller --batch-size ({stored:,} are stored)") from error
    if session.as_json:
        print_json({"collection": collection, "stored": stored})
    else:
        session.err.print(Text(f"{stored:,} documents are stored in {collection}"), soft_wrap=True)


def _create(session: Session, body: dict[str, Any]) -> None:
    try:
        session.kennel.collections.create(body)
    except Conflict:
        return  # it is there already


class _Reader:
    """Documents of the file; remembers the lines of those that are not stored yet."""

    def __init__(self, source: Source, id_field: str) -> None:
        self._source = source
        self._id_field = id_field
        self._lines: deque[int] = deque()

    def documents(self) -> Iterator[dict[str, Any]]:
        """Raises NotConfigured: a line that cannot be used."""
        for record in self._source.records():
            self._lines.append(record.number)
            yield self._document(record)

    def forget(self, count: int) -> None:
        """That many of the first lines are stored."""
        for _ in range(count):
            self._lines.popleft()

    def place(self, error: InvalidInput) -> str:
        """The line that the server complains about, with a colon; empty if it names none."""
        errors = error.details.get("validation_errors") or [{}]
        loc = errors[0].get("loc", [])
        if loc[:1] != ["documents"] or len(loc) == 1:
            return ""
        return f"{self._source.path} line {self._lines[loc[1]]}: "

    def _document(self, record: Record) -> dict[str, Any]:
        values = record.values
        if record.problem is not None:
            raise NotConfigured(f"{self._source.path} line {record.number}: {record.problem}")
        if isinstance(values.get("payload"), dict) and "document_id" in values:
            return values
        id_ = values.get(self._id_field)
        if id_ is None:
            content = orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
            id_ = f"doc_{hashlib.sha256(content).hexdigest()[:16]}"
        payload = {name: value for name, value in values.items() if name != "document_id"}
        return {"document_id": str(id_), "payload": payload}
