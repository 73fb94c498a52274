"""The client: submit, poll, wait, map, list and cancel executions of retrievers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

import orjson

from client.bounded import CONCURRENCY, bounded_map
from client.errors import ExecutionFailed, KennelError, NoAnswer, WaitTimeout, api_error
from client.events import Follower
from client.models import Cancellation, Execution, ExecutionSummary, Outcome
from client.resources import Documents, Resources, listed
from client.target import DEFAULT_TIMEOUTS, Target, Timeouts
from client.transport import Answer, Request, Transport

# The server holds a request for 60 s at most; proxies often cut connections at 60 s.
HOLD_S = 30.0
WAIT_TIMEOUT_S = 600.0
_POLL_AGAIN_S = 1.0
_NOT_MODIFIED = 304


class Kennel:
    """One server, key and namespace. Any number of threads may use it at the same time.

    Requests that may be repeated are, while the server is away or busy, for `timeouts.retry_s`; a submit is
    one of them, since it carries an Idempotency-Key. Every method raises NoAnswer when the server cannot be
    reached, and an ApiError when it refuses (see client/errors.py).

    Args:
        base_url: Else KENNEL_URL, else http://127.0.0.1:8000.
        api_key: Else KENNEL_API_KEY, else, for an address of this machine, the file `.kennel/api_key` (in
            KENNEL_DATA_DIR, if that is set).
        namespace: Id or name. Else KENNEL_NAMESPACE.

    Raises:
        NotConfigured: a malformed URL, or no key.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        namespace: str | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        target = Target.of(base_url, api_key, namespace)
        self.base_url = target.origin
        self.namespace = target.namespace
        self._transport = Transport(target, timeouts)
        self.retrievers = Resources(self._call, "retriever")
        self.collections = Resources(self._call, "collection")
        self.documents = Documents(self._call, target.namespace)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all connections; requests under way in other threads raise NoAnswer."""
        self._transport.close()

    def submit(
        self,
        retriever: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        wait_s: float = 0.0,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> Execution:
        """Submit an execution; it is accepted for good when this returns.

        Args:
            retriever: Id or name.
            wait_s: How long the server may hold its answer for the end of the execution, 0 to 60 s.
            idempotency_key: The same key and body give the same execution for 24 hours; random if left out.
            options: More of the body: limit, filters, pagination, collection_identifiers, write_token, …

        Raises:
            InvalidInput: inputs or options. NotFound: the retriever. LimitExceeded: the queue is full.
        """
        return self._submit(retriever, {"inputs": inputs or {}, **options}, wait_s, idempotency_key)

    def get(self, retriever: str, execution_id: str) -> Execution:
        """The execution as it is now.

        Raises:
            NotFound: there never was one. Gone: its result has expired.
        """
        return _execution(self._call("GET", _path(retriever, execution_id)))

    def poll(self, execution: Execution, timeout_s: float = WAIT_TIMEOUT_S) -> Iterator[Execution]:
        """The execution as it is given, then as it is after each change that is seen, to the end.

        One request follows its events; where those are not to be had, held requests tell of the changes.

        Raises:
            WaitTimeout: it has not ended after `timeout_s`.
        """
        yield execution
        yield from self._changes(execution, time.monotonic() + timeout_s)

    def wait(self, execution: Execution, timeout_s: float = WAIT_TIMEOUT_S) -> Execution:
        """The execution when it has ended, however that was.

        Raises:
            WaitTimeout: it has not ended after `timeout_s`.
        """
        return self._wait_until(execution, time.monotonic() + timeout_s)

    def run(
        self,
        retriever: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = WAIT_TIMEOUT_S,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> Execution:
        """Submit, wait, and return the execution with its result. Arguments and errors as `submit`, and:

        Raises:
            ExecutionFailed: it failed or was cancelled.
            WaitTimeout: it has not ended after `timeout_s`.
        """
        body = {"inputs": inputs or {}, **options}
        return self.run_body(retriever, body, timeout_s=timeout_s, idempotency_key=idempotency_key)

    def run_body(
        self,
        retriever: str,
        body: Mapping[str, Any],
        *,
        timeout_s: float = WAIT_TIMEOUT_S,
        idempotency_key: str | None = None,
    ) -> Execution:
        """As `run`, of a whole body as `POST …/execute` takes it."""
        give_up_at_s = time.monotonic() + timeout_s
        execution = self._submit(retriever, body, min(HOLD_S, timeout_s), idempotency_key)
        return self._wait_until(execution, give_up_at_s).checked()

    def map(
        self,
        retriever: str,
        inputs: Iterable[Mapping[str, Any]],
        *,
        concurrency: int = CONCURRENCY,
        timeout_s: float = WAIT_TIMEOUT_S,
        raise_errors: bool = False,
        **options: Any,
    ) -> Iterator[Outcome]:
        """Run the retriever for each of any number of inputs; outcomes in the order of the inputs.

        Lazy: inputs are taken as outcomes are consumed, and at most four times `concurrency` are in memory.

        Args:
            concurrency: Executions at a time, 1 to 128.
            timeout_s: Of each.
            raise_errors: End with the first error, instead of putting it into the outcome.
            options: As of `submit`.
        """

        def run_one(item: tuple[int, Mapping[str, Any]]) -> Outcome:
            index, one = item
            try:
                return Outcome(index, one, self.run(retriever, one, timeout_s=timeout_s, **options), None)
            except KennelError as error:
                if raise_errors:
                    raise
                ended = error.execution if isinstance(error, ExecutionFailed | WaitTimeout) else None
                return Outcome(index, one, ended, error)

        return bounded_map(run_one, enumerate(inputs), concurrency=concurrency, ordered=True)

    def pages(self, execution: Execution) -> Iterator[Execution]:
        """The execution with each page of its result in turn, from the one it holds; none is run again."""
        yield execution
        while cursor := execution.pagination.get("cursor"):
            path = _path(execution.retriever_id, execution.execution_id)
            execution = _execution(self._call("GET", f"{path}?{urlencode({'cursor': cursor})}"))
            yield execution

    def list_executions(
        self,
        retriever: str,
        *,
        status: str | None = None,
        filters: Mapping[str, Any] | None = None,
        page_size: int = 100,
    ) -> Iterator[ExecutionSummary]:
        """The history of a retriever, newest first; read page by page as it is consumed."""
        wanted = {"status": status, "filters": filters}
        body = {name: value for name, value in wanted.items() if value}
        path = f"/v1/retrievers/{quote(retriever, safe='')}/executions/list"
        for summary in listed(self._call, path, body, page_size):
            yield ExecutionSummary.of(summary)

    def cancel(self, retriever: str, execution_id: str) -> Cancellation:
        """Take an execution from the queue, or stop it as soon as its stage allows.

        One that has ended stays as it is; the outcome says so.
        """
        return self._call("POST", f"{_path(retriever, execution_id)}/cancel").parsed(Cancellation.of)

    def _submit(
        self, retriever: str, body: Mapping[str, Any], wait_s: float, idempotency_key: str | None
    ) -> Execution:
        key = idempotency_key or secrets.token_hex(16)
        headers = {"Idempotency-Key": key, "Prefer": f"wait={wait_s:g}"}
        path = f"/v1/retrievers/{quote(retriever, safe='')}/execute"
        return _execution(self._call("POST", path, body, headers=headers, hold_s=wait_s))

    def _wait_until(self, execution: Execution, give_up_at_s: float) -> Execution:
        for now in self._follow(execution, give_up_at_s, every_change=False):
            execution = now
        return execution

    def _changes(self, execution: Execution, give_up_at_s: float) -> Iterator[Execution]:
        """What its events say. A stream that breaks off is followed from there; one held request bridges a
        server that is away, and where there are no events held requests tell everything.
        """
        follower = Follower(execution)
        path = f"{_path(execution.retriever_id, execution.execution_id)}/events"
        asked_at_most: int | None = 1
        while not follower.execution.is_terminal:
            seen_id = follower.last_event_id
            headers = {"Last-Event-ID": seen_id} if seen_id else {}
            try:
                yield from follower.changes(
                    self._transport.lines(Request("GET", path, headers=headers), give_up_at_s)
                )
                asked_at_most = None
            except NoAnswer:
                asked_at_most = 1
            if follower.last_event_id != seen_id:
                continue
            held = self._follow(follower.execution, give_up_at_s, every_change=True)
            for now in islice(held, asked_at_most):
                follower.know(now)
                yield now

    def _follow(
        self, execution: Execution, give_up_at_s: float, *, every_change: bool
    ) -> Iterator[Execution]:
        """What held requests say, until the end; nothing of one that has ended."""
        path = _path(execution.retriever_id, execution.execution_id)
        while not execution.is_terminal:
            asked_at_s = time.monotonic()
            hold_s = min(HOLD_S, give_up_at_s - asked_at_s)
            if hold_s <= 0:
                raise WaitTimeout(execution)
            known = {"If-None-Match": execution.etag} if every_change else {}
            headers = {"Prefer": f"wait={hold_s:.3f}", **known}
            answer = self._call("GET", path, headers=headers, hold_s=hold_s)
            if answer.status != _NOT_MODIFIED:
                execution = _execution(answer)
                yield execution
                if every_change:
                    continue
            held_s = time.monotonic() - asked_at_s
            if not execution.is_terminal and held_s < hold_s / 2:  # there is no worker, so it was not held
                left_s = give_up_at_s - time.monotonic()
                self._transport.sleep(min(answer.retry_after_s or _POLL_AGAIN_S, max(0.0, left_s)))

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        hold_s: float = 0.0,
        repeatable: bool = True,
    ) -> Answer:
        """The answer, if it is 2xx or 304. Raises NoAnswer, ApiError."""
        raw = b"" if body is None else orjson.dumps(body)
        answer = self._transport.send(Request(method, path, raw, headers or {}, hold_s, repeatable))
        if not 200 <= answer.status < 300 and answer.status != _NOT_MODIFIED:
            raise api_error(answer.status, answer.body)
        return answer


def _path(retriever: str, execution_id: str) -> str:
    return f"/v1/retrievers/{quote(retriever, safe='')}/executions/{quote(execution_id, safe='')}"


def _execution(answer: Answer) -> Execution:
    return answer.parsed(partial(Execution.of, etag=answer.headers.get("ETag", "")))
