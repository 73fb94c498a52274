"""From documents that were written to runs of the alerts that are attached to their collection.

A run's id follows from alert, collection, document and write. So whatever is submitted again after a crash is
the run that was there; and rows leave the outbox only when all their runs are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

import orjson

from shared import ids
from shared.alerts.submission import mapped_inputs, retriever_run
from shared.documents import CollectionRef, DocumentStore, Ingested
from shared.documents.write_token import make_write_token
from shared.errors import NotFound
from shared.logs import log_event
from shared.models.alert import Alert, Attachment, Mode, attachments_of
from shared.models.alert_run import AlertRun
from shared.models.resource import RetrieverRecord
from shared.stores.alert_reading import AlertReader
from shared.stores.alert_submits import AlertSubmits
from shared.stores.executions import Submission

log = logging.getLogger("kennel.alerts")

ROWS_MAX = 1_000  # as many as one write may have: writes are taken whole


@dataclass(frozen=True, slots=True)
class _Watcher:
    """An alert at the collection, and what it runs."""

    attachment: Attachment
    alert: Alert
    retriever: RetrieverRecord
    collection_ids: Sequence[str]


class AlertDispatch:
    """Submits the runs that documents start. Safe to share between threads."""

    def __init__(self, store: DocumentStore, alerts: AlertReader, submits: AlertSubmits) -> None:
        self._store = store
        self._alerts = alerts
        self._submits = submits

    def do_batch(self, ref: CollectionRef) -> int:
        """Ask the collection's alerts about the documents that wait longest; how many there were.

        Raises:
            NotFound: the collection is gone. LimitExceeded: the queue is full; the documents wait.
            Unavailable: Redis is away, or a retriever was changed meanwhile; the same.
        """
        rows = self._store.ingested(ref, ROWS_MAX)
        if not rows:
            return 0
        watchers = self._watchers(ref)
        documents = self._documents(ref, rows, watchers)
        for watcher in watchers:  # higher priority first
            self._submit_all(watcher, _runs(watcher, ref, rows, documents))
        self._store.dispatched(ref, rows)
        return len(rows)

    def is_left(self, ref: CollectionRef) -> bool:
        return bool(self._store.ingested(ref, 1))

    def _watchers(self, ref: CollectionRef) -> list[_Watcher]:
        body = self._alerts.collection(ref.collection_id)
        attachments = attachments_of(orjson.loads(body), Mode.ON_INGEST) if body else ()
        alerts = self._alerts.find([each.alert_id for each in attachments])
        found = (self._watcher(ref, each, alerts.get(each.alert_id)) for each in attachments)
        return [watcher for watcher in found if watcher is not None]

    def _watcher(self, ref: CollectionRef, attachment: Attachment, alert: Alert | None) -> _Watcher | None:
        """None, which is logged, where there is nothing to run."""
        if alert is None or not alert.enabled:
            _tell(attachment, ref, "it is gone or switched off")
            return None
        retriever = self._alerts.retriever(alert.retriever_id) if alert.retriever_id else None
        if retriever is None:
            _tell(attachment, ref, "its retriever is gone")
            return None
        collection_ids = retriever.collection_ids or self._alerts.collection_ids(ref.namespace_id)
        return _Watcher(attachment, alert, retriever, collection_ids)

    def _documents(
        self, ref: CollectionRef, rows: Sequence[Ingested], watchers: Iterable[_Watcher]
    ) -> Mapping[str, Mapping[str, Any]]:
        """Their contents by id, where an input is mapped from them."""
        if not any(watcher.attachment.reads_document for watcher in watchers):
            return {}
        found = self._store.get(ref, [row.document_id for row in rows])
        return {each.document_id: each.payload for each in found}

    def _submit_all(self, watcher: _Watcher, runs: Iterable[Submission]) -> None:
        try:
            for run in runs:
                self._submits.submit(run)
        except NotFound as error:
            log_event(log, "alert.not_run", level=logging.WARNING, alert_id=watcher.alert.alert_id,
                      error=error.message)  # fmt: skip


def _runs(
    watcher: _Watcher,
    ref: CollectionRef,
    rows: Sequence[Ingested],
    documents: Mapping[str, Mapping[str, Any]],
) -> Iterator[Submission]:
    """One for each document; where none is read, one for each write."""
    if watcher.attachment.reads_document:
        for row in rows:
            if (document := documents.get(row.document_id)) is not None:  # else it was deleted meanwhile
                yield _run(watcher, ref, row.write_seq, [row.document_id], document)
        return
    for write_seq, written in groupby(rows, key=attrgetter("write_seq")):
        yield _run(watcher, ref, write_seq, [row.document_id for row in written])


def _run(
    watcher: _Watcher,
    ref: CollectionRef,
    write_seq: int,
    document_ids: Sequence[str],
    document: Mapping[str, Any] | None = None,
) -> Submission:
    alert = watcher.alert
    about = document_ids if document is not None else ()
    return retriever_run(
        watcher.retriever,
        AlertRun(alert.alert_id, Mode.ON_INGEST, ref.collection_id, document_ids),
        mapped_inputs(alert, watcher.attachment, document),
        watcher.collection_ids,
        ids.execution_id_of("ingest", alert.alert_id, ref.collection_id, write_seq, *about),
        write_token=make_write_token(ref.collection_id, write_seq),
    )


def _tell(attachment: Attachment, ref: CollectionRef, reason: str) -> None:
    log_event(log, "alert.not_run", level=logging.WARNING, alert_id=attachment.alert_id,
              collection_id=ref.collection_id, error=reason)  # fmt: skip
