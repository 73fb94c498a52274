"""Uploading a batch: lines become executions as they arrive, a bounded number of them at a time."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import orjson
from starlette.requests import ClientDisconnect

from api.context import ApiContext
from api.deps import Access
from api.json_body import parse_json
from api.lines import Line, LineSplitter
from api.schemas.batches import LINE_MAX_BYTES, LINES_MAX, REFUSED_LINES_MAX, BatchLineBody
from api.schemas.execution import ExecuteBody
from api.services.executions.submit import Idempotency, store
from api.services.validation import validated
from shared import ids
from shared.errors import (
    BadRequest,
    InvalidInput,
    KennelError,
    LimitExceeded,
    OutcomeUnknown,
    Unavailable,
)
from shared.logs import log_event
from shared.models.batch import BatchPlace
from shared.stores.executions import IdempotencyMismatch, Replayed, StoredExecution

_GROUP = 32  # lines on their way to Redis at a time; more would hold up other requests for longer
_SILENCE_MAX_S = 30.0  # between two chunks of the body; less than what makes an upload count as broken off
_DIGEST_CHARS = 32
# No fault of the line: those behind it would fare the same, so the upload ends here.
_ENDS_UPLOAD = (LimitExceeded, Unavailable, OutcomeUnknown)

logger = logging.getLogger("kennel.api")

Outcome = StoredExecution | Replayed | KennelError


class Upload:
    """One upload into a batch, new or begun before with the same idempotency key."""

    def __init__(self, context: ApiContext, access: Access, batch_id: str, retriever: str | None) -> None:
        """`retriever` is what lines run that name none."""
        self.batch_id = batch_id
        self.accepted = 0
        self.replayed = 0
        self.refused = 0
        self.refused_lines: list[dict[str, Any]] = []
        self._context = context
        self._access = access
        self._retriever = retriever

    @property
    def lines(self) -> int:
        return self.accepted + self.refused

    async def receive(self, chunks: AsyncIterator[bytes]) -> None:
        """Read the body to its end.

        Raises:
            ClientDisconnect: the client broke off. BadRequest: it sent nothing for 30 s.
            TooLarge: the body. LimitExceeded: the queue is full. Unavailable, OutcomeUnknown: Redis is away.
            What was accepted until then stays accepted.
        """
        splitter = LineSplitter(LINE_MAX_BYTES)
        while (chunk := await _next(chunks)) is not None:
            await self._add(splitter.feed(chunk))
        await self._add(splitter.end())

    async def _add(self, lines: Sequence[Line]) -> None:
        within = [line for line in lines if line.number <= LINES_MAX]
        for start in range(0, len(within), _GROUP):
            await self._add_group(within[start : start + _GROUP])
        for line in lines[len(within) :]:
            self._refuse(line, _TOO_MANY)

    async def _add_group(self, lines: Sequence[Line]) -> None:
        """One round trip of all of them together, after at most one that looks up names."""
        outcomes = await asyncio.gather(*(self._submit(line) for line in lines))
        stopped: KennelError | None = None
        for line, outcome in zip(lines, outcomes, strict=True):
            if isinstance(outcome, _ENDS_UPLOAD):
                stopped = stopped or outcome
            elif isinstance(outcome, KennelError):
                self._refuse(line, outcome)
            else:
                self.accepted += 1
                self.replayed += isinstance(outcome, Replayed)
        if stopped is not None:
            raise stopped

    def _refuse(self, line: Line, error: KennelError) -> None:
        self.refused += 1
        if len(self.refused_lines) < REFUSED_LINES_MAX:
            reason = {"message": error.message, "code": error.code, "details": error.details}
            self.refused_lines.append({"line": line.number, "error": reason})

    async def _submit(self, line: Line) -> Outcome:
        try:
            if line.text is None:
                raise InvalidInput(f"the line is over {LINE_MAX_BYTES:,} bytes", code="line_too_long")
            plain = parse_json(line.text, what="the line")
            body = validated(BatchLineBody, plain)
            retriever = body.retriever or self._retriever
            if not retriever:
                raise InvalidInput.at(
                    ("retriever",), "is missing; name it here or as ?retriever= of the upload"
                )
            place = BatchPlace(
                self.batch_id, line.number, _digest([self._retriever, plain]), orjson.dumps(body.id)
            )
            return await store(
                self._context,
                self._access,
                retriever,
                _execute_body(body),
                ids.execution_id(),
                extra={"batch_id": self.batch_id, "batch_line": line.number},
                place=place,
            )
        except KennelError as error:
            return error


_TOO_MANY = InvalidInput(
    f"a batch takes {LINES_MAX:,} lines; send this one and those behind it as another batch",
    code="too_many_lines",
)


async def upload_batch(
    context: ApiContext,
    access: Access,
    chunks: AsyncIterator[bytes],
    *,
    retriever: str | None,
    idempotency_key: str | None,
) -> Upload:
    """Submit every line of a body; what is wrong with one does not concern the others.

    Raises:
        InvalidInput: the key was used with another `retriever`.
        ClientDisconnect, or what ended the upload early (see `Upload.receive`); its details say how many
        lines were accepted, which stay so.
    """
    digest = body_digest = ""
    if idempotency_key is not None:
        key = Idempotency("batches", idempotency_key, {"retriever": retriever})
        digest, body_digest = key.digest(access, ""), key.body_digest()
    try:
        batch_id = await context.batches.begin(ids.batch_id(), access.namespace_id, digest, body_digest)
    except IdempotencyMismatch as error:
        raise InvalidInput(
            "this Idempotency-Key was used with another ?retriever=; use a new key or the first one",
            code="idempotency_key_reused",
        ) from error
    upload = Upload(context, access, batch_id, retriever)
    try:
        await upload.receive(chunks)
    except (KennelError, ClientDisconnect) as error:
        with suppress(KennelError):  # without Redis it ends by itself a little later
            await _end(context, upload, complete=False)
        log_event(
            logger,
            "batch.broken_off",
            level=logging.WARNING,
            batch_id=batch_id,
            accepted=upload.accepted,
            refused=upload.refused,
            error=str(error),
        )
        if isinstance(error, KennelError):
            raise _with_progress(error, upload, idempotency_key) from error
        raise
    await _end(context, upload, complete=True)
    return upload


async def _end(context: ApiContext, upload: Upload, *, complete: bool) -> None:
    await context.batches.end_upload(
        upload.batch_id,
        complete=complete,
        lines=upload.lines,
        refused=upload.refused,
        refused_lines=orjson.dumps(upload.refused_lines),
    )


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    """The next chunk; None at the end. Raises BadRequest when the client is silent for too long."""
    try:
        async with asyncio.timeout(_SILENCE_MAX_S):
            return await anext(chunks, None)
    except TimeoutError as error:
        raise BadRequest(
            f"nothing was received for {_SILENCE_MAX_S:g} s; send the lines without long pauses",
            code="upload_stalled",
        ) from error


def _with_progress(error: KennelError, upload: Upload, idempotency_key: str | None) -> KennelError:
    """The error that ended an upload, saying how far it came and how to go on."""
    again = (
        "repeat it with the same Idempotency-Key"
        if idempotency_key is not None
        else "send only the other lines again: without an Idempotency-Key a repeat would double these"
    )
    error.message += f" ({upload.accepted} lines were accepted into {upload.batch_id}; {again})"
    error.details |= {
        "batch_id": upload.batch_id,
        "accepted": upload.accepted,
        "replayed": upload.replayed,
        "refused": upload.refused,
    }
    return error


def _digest(content: Any) -> str:
    canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()[:_DIGEST_CHARS]


def _execute_body(line: BatchLineBody) -> ExecuteBody:
    fields = {
        "inputs": line.inputs,
        "filters": line.filters,
        "collection_identifiers": line.collection_identifiers,
        "limit": line.limit,
        "priority": line.priority,
    }
    # Unknown keys are named in the warnings of the execution.
    unknown = {f"line.{key}": None for key in line.unknown_keys()}
    return ExecuteBody.model_validate(fields | unknown)
