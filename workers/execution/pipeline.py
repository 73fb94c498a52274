"""Runs the stages of one execution: order, budget, deadline, error wrapping, the final result."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from shared.documents import CollectionRef, DocumentStore
from shared.errors import BudgetExceeded, KennelError, OutOfTime, TransientError
from shared.filters import Filter, SortKey, compile_predicate
from shared.logs import log_event
from shared.metrics import STAGE_ERRORS, STAGE_TIME
from shared.models.document import Document
from shared.models.execution import Claim, Status
from shared.stores.ledger import Outcome
from workers.context import Embeddings, StageContext
from workers.documents.selection import Selection
from workers.execution.books import Books, StageEntry
from workers.execution.checkpoint import STATE_MAX_BYTES, Checkpoints, Standing
from workers.execution.definition import Definition, PlannedStage
from workers.execution.failure import StageFailed, sentence_of
from workers.execution.rendering import Rendering
from workers.execution.result import Result
from workers.execution.result_rows import ResultRows
from workers.execution.retrying import RetryPolicy, as_transient
from workers.execution.stage_events import StageEvents
from workers.lease.interruptible import Interrupted
from workers.lease.run import Checkpoint, RetryLater, Run, Stop
from workers.meter import Meter

log = logging.getLogger("kennel.pipeline")

# What goes from stage to stage: documents, or a question to the engine that still grows.
Upstream = Selection | list[Document]


class Pipeline:
    """One run of one execution. `run` returns its outcome, or raises what a `Stop` says."""

    def __init__(
        self,
        run: Run,
        definition: Definition,
        store: DocumentStore,
        *,
        embeddings: Embeddings,
        resolve_collections: Callable[[str, Sequence[str]], Sequence[str]],
        cursor_secret: bytes,
        max_time_ms: int,
        result_max_bytes: int,
        retry_policy: RetryPolicy,
        meter: Meter,
        left_behind: bytes | None = None,
    ) -> None:
        """`left_behind` is the state that an earlier attempt kept."""
        self._run = run
        self._meter = meter
        self._claim: Claim = run.claim
        self._definition = definition
        self._store = store
        self._embeddings = embeddings
        self._resolve_collections = resolve_collections
        self._cursor_secret = cursor_secret
        self._max_time_ms = definition.budget.max_time_ms or max_time_ms
        self._result_max_bytes = result_max_bytes
        self._retry_policy = retry_policy
        self._refs = [CollectionRef(self._claim.namespace_id, c) for c in self._claim.request.collection_ids]
        self._books = Books(self._claim, definition.budget)
        run.ends_at = time.monotonic() + (self._max_time_ms - self._books.spent_ms()) / 1000
        self._events = StageEvents(run, self._books)
        self._rendering = Rendering(self._claim, self._books)
        self._checkpoints = Checkpoints(self._claim, definition, self._books, self._rendering)
        self._left_behind = left_behind
        self._finished: tuple[PlannedStage, Sequence[Document]] | None = None
        # Stages whose work is part of the upstream Selection; they end when it is fetched.
        self._unfetched: list[StageEntry] = []
        self._order: Sequence[SortKey] | None = ()
        self._searched_feature: str | None = None

    def run(self) -> Outcome:
        """Every stage in order.

        Raises:
            Stop: the execution must not go on here; nothing is to be written.
        """
        try:
            return self._completed(self._stages())
        except OutOfTime as error:
            return self._out_of_time(error)
        except StageFailed as failure:
            return self._failed(str(failure))
        except KennelError as error:
            return self._failed(error.message)

    def _stages(self) -> list[Document]:
        """What the last stage returns. One that must stop and does not look is interrupted by the keeper."""
        try:
            with self._run.work:
                upstream, first = self._start()
                for planned in self._definition.stages[first:]:
                    upstream = self._stage(planned, upstream)
                    if isinstance(upstream, list):  # else the stage that fetches them sees to it
                        self._keep(planned, upstream)
                return self._documents(upstream)
        except Interrupted:
            self._check()  # says why
            raise

    # Between attempts

    def _start(self) -> tuple[Upstream, int]:
        """What the first stage is given, and its index: behind the last checkpoint of an earlier attempt."""
        standing = self._checkpoints.restore(self._left_behind) if self._left_behind else None
        if standing is None:
            if self._left_behind:  # the claim did not say that the first stage starts
                self._events.started(self._definition.stages[0])
            condition = self._rendering.filter(self._claim.request.filters, None, ("filters",))
            return Selection(self._refs, where=condition), 0
        first = standing.finished + 1
        self._order, self._searched_feature = standing.order, standing.searched_feature
        self._finished = self._definition.stages[standing.finished], standing.documents
        self._books.resumed_from_stage = name = self._definition.stages[first].name
        self._books.partial_from_stage = self._definition.stages[standing.finished].name
        self._events.started(self._definition.stages[first])
        self._run.publish(name, self._books.stages_completed, self._books.snapshot)
        return list(standing.documents), first

    def _keep(self, planned: PlannedStage, documents: Sequence[Document]) -> None:
        """A stage has ended with these: what can be shown, and gone on with, if the run ends early."""
        self._finished = planned, documents
        if planned.index + 1 == len(self._definition.stages):
            return
        standing = Standing(planned.index, documents, self._order, self._searched_feature)
        packed = self._checkpoints.state(standing)

        def state() -> bytes | None:
            return self._bounded(planned, packed)

        def kept() -> None:
            self._books.partial_from_stage = planned.name
            self._run.publish_again()

        rows = partial(self._partial_rows, documents)
        self._run.keep(Checkpoint(planned.name, len(documents), rows, state, kept))

    def _bounded(self, planned: PlannedStage, packed: Callable[[], bytes]) -> bytes | None:
        try:
            state = packed()
        except TypeError:  # the result will say so, if it comes to that
            return None
        if len(state) <= STATE_MAX_BYTES:
            return state
        self._books.warnings.append(
            f"what stage {planned.name!r} returned is too large to be kept ({len(state):,} bytes packed): "
            "after a crash it runs again"
        )
        return None

    def _partial_rows(self, documents: Sequence[Document]) -> bytes:
        """The first page of what a stage returned, as a result shows it."""
        shown = documents[: self._claim.request.page.size]
        writer = ResultRows(
            self._claim.request, self._claim.namespace_id, self._store, self._result_max_bytes
        )
        try:
            return b"[%s]" % b",".join(writer.write(shown))
        except (KennelError, StageFailed):
            return b"[]"

    # One stage

    def _stage(self, planned: PlannedStage, upstream: Upstream) -> Upstream:
        self._check()
        self._run.stage = planned.name
        if self._unfetched and (planned.skip_on_error or planned.reads_stages):
            # so that only its own failure is skipped, and what it reads of earlier stages is known
            upstream = self._documents(upstream)
        entry = StageEntry(planned)
        order, searched_feature = self._order, self._searched_feature
        try:
            return self._attempt(entry, upstream)
        except (Stop, StageFailed, BudgetExceeded):
            raise
        except Exception as error:
            self._order, self._searched_feature = order, searched_feature
            return self._stage_error(entry, upstream, error)

    def _attempt(self, entry: StageEntry, upstream: Upstream) -> Upstream:
        planned = entry.planned
        context = self._context(planned)
        stage = planned.ready or planned.make(self._rendering.parameters(planned))
        self._order = stage.order(self._order)
        if planned.pre_filters:
            condition = self._rendering.filter(planned.pre_filters, planned, ("pre_filters",))
            upstream = self._narrowed(upstream, condition)
        self._searched_feature = stage.searched_feature or self._searched_feature
        if isinstance(upstream, Selection):
            refined = stage.refine(upstream, context)
            if refined is not None:
                entry.behind_search = upstream.query is not None
                entry.searches = refined.query is not upstream.query
                self._unfetched.append(entry)
                return self._fetched(refined) if self._is_wanted_now(planned, refined) else refined
        fetching = bool(self._unfetched)
        documents = self._documents(upstream)
        if fetching:
            entry.restart_clock()  # the stages that waited for it account for the fetch
        output = stage.run(documents, context)
        entry.note(output.metadata)
        entry.input_count, entry.output_count = len(documents), len(output.documents)
        self._ended(entry, output.documents)
        self._rendering.remember(planned, output.documents)
        return output.documents

    def _is_wanted_now(self, planned: PlannedStage, refined: Selection) -> bool:
        """Whether a stage behind this one must not become part of its question to the engine."""
        later = self._definition.stages[planned.index + 1 :]
        is_read = refined.query is not None and any(each.reads_stages for each in later)
        return is_read or planned.skip_on_error or planned.output_alias is not None

    def _stage_error(self, entry: StageEntry, upstream: Upstream, error: Exception) -> list[Document]:
        """With `on_error: skip` go on with the documents of the stage before; else the run ends here.

        Raises:
            RetryLater: the stage may do better then. StageFailed: not that either.
        """
        transient = as_transient(error)
        sentence = sentence_of(entry.planned, transient or error)
        if not entry.planned.skip_on_error:
            if transient is not None:
                sentence = self._retried_or_given_up(sentence, transient)
            self._ended(entry, None, sentence)
            raise StageFailed(sentence) from error
        self._unfetched.clear()
        documents = upstream if isinstance(upstream, list) else []
        entry.input_count = entry.output_count = len(documents)
        self._ended(entry, None, sentence)
        self._books.note_skipped(entry)
        return documents

    def _retried_or_given_up(self, sentence: str, error: TransientError) -> str:
        """What to say when no retries are left. Raises RetryLater while there are."""
        claim, books = self._claim, self._books
        if claim.retries >= self._retry_policy.retries_max:
            return f"{sentence}; given up after {claim.attempt} attempts" if claim.retries else sentence
        self._run.save()  # so that nothing but this stage runs again, however short the others were
        books.warnings.append(f"attempt {claim.attempt}: {sentence}; it is tried again")
        raise RetryLater(
            sentence,
            delay_ms=self._retry_policy.delay_ms(claim.retries, error),
            stages_completed=books.stages_completed,
            detail=books.detail(),
            figures=books.figures(),
        ) from error

    def _ended(
        self, entry: StageEntry, documents: Sequence[Document] | None, error: str | None = None
    ) -> None:
        """Enter it in the books, tell whoever watches, and stop where the credits are used up."""
        entry.end(error)
        self._books.enter(entry)
        self._measure(entry)
        self._log(entry)
        self._events.ended(entry, documents)
        if error is not None and not entry.planned.skip_on_error:
            return
        self._check_credits(entry)
        following = entry.planned.index + 1
        if following < len(self._definition.stages):
            planned = self._definition.stages[following]
            self._events.started(planned)
            self._run.publish(planned.name, self._books.stages_completed, self._books.snapshot)

    def _check_credits(self, entry: StageEntry) -> None:
        limit = self._definition.budget.max_credits
        if limit is not None and self._books.credits_used > limit:
            raise BudgetExceeded(
                f"max_credits exceeded: {self._books.credits_used:.6g} used of {limit:g} after stage "
                f"{entry.planned.name!r}; raise the limit or simplify the stages"
            )

    # Documents that are still in the engine

    def _documents(self, upstream: Upstream) -> list[Document]:
        return self._fetched(upstream) if isinstance(upstream, Selection) else upstream

    def _fetched(self, selection: Selection) -> list[Document]:
        """Ask the engine, and end the stages whose work it did; the first of them gets the time."""
        waiting, self._unfetched = self._unfetched, []
        try:
            fetched = selection.fetch(self._store)
        except BudgetExceeded:
            raise
        except KennelError as error:
            if not waiting or waiting[0].planned.skip_on_error:
                raise
            searching = next((entry for entry in waiting if entry.searches), waiting[0])
            self._stage_error(searching, selection, error)
            raise
        count = 0
        for position, entry in enumerate(waiting):
            entry.input_count = count
            count = entry.output_count = len(fetched.documents) if entry.behind_search else fetched.found
            if len(waiting) > 1:
                entry.metadata["pushed_down"] = True
            if entry.searches:
                entry.note(fetched.metadata)
            if position > 0:
                entry.restart_clock()
            self._ended(entry, fetched.documents)
            self._rendering.remember(entry.planned, fetched.documents)
        if waiting:
            self._keep(waiting[-1].planned, fetched.documents)
        return fetched.documents

    def _narrowed(self, upstream: Upstream, condition: Filter | None) -> Upstream:
        if condition is None:
            return upstream
        if isinstance(upstream, Selection):
            narrowed = upstream.filtered(condition)
            if narrowed is not None:
                return narrowed
        matches = compile_predicate(condition)
        return [document for document in self._documents(upstream) if matches(document)]

    # What a stage is given, and limits

    def _context(self, planned: PlannedStage) -> StageContext:
        return StageContext(
            execution_id=self._claim.execution_id,
            attempt=self._claim.attempt,
            stage_index=planned.index,
            stage_name=planned.name,
            namespace_id=self._claim.namespace_id,
            inputs=self._claim.request.inputs,
            collections=self._refs,
            documents=self._store,
            embeddings=self._embeddings,
            resolve_collections=partial(self._resolve_collections, self._claim.namespace_id),
            warn=lambda text: self._books.warnings.append(str(text)),
            check=self._check,
            searched_feature=self._searched_feature,
        )

    def _check(self) -> None:
        self._run.check()
        spent_ms = self._books.spent_ms()
        if spent_ms > self._max_time_ms:
            raise OutOfTime(
                f"max_time_ms exceeded: {spent_ms:.0f} ms used of {self._max_time_ms} ms; "
                "raise the limit or simplify the stages"
            )

    def _measure(self, entry: StageEntry) -> None:
        stage_id = entry.planned.stage_id
        self._meter.observe(STAGE_TIME, entry.duration_ms / 1000, stage_id)
        if entry.error is not None:
            self._meter.count(STAGE_ERRORS, label=stage_id)

    def _log(self, entry: StageEntry) -> None:
        level = logging.WARNING if entry.error else logging.DEBUG
        if not log.isEnabledFor(level):
            return
        log_event(
            log,
            "stage.failed" if entry.error else "stage.completed",
            level=level,
            execution_id=self._claim.execution_id,
            stage=entry.planned.name,
            attempt=self._claim.attempt,
            duration_ms=entry.duration_ms,
            input_count=entry.input_count,
            output_count=entry.output_count,
        )

    # Outcomes

    def _completed(self, documents: list[Document]) -> Outcome:
        self._check()
        result = Result(self._claim, documents, self._order, self._store)
        return result.outcome(
            self._books, cursor_secret=self._cursor_secret, max_bytes=self._result_max_bytes
        )

    def _failed(self, message: str) -> Outcome:
        """With the documents of the last stage that ended, if there are any to show."""
        books = self._books
        if self._finished is not None:
            planned, documents = self._finished
            books.partial_from_stage = planned.name
            with contextlib.suppress(KennelError, StageFailed):
                return replace(self._ended_early(documents), status=Status.FAILED, error=message)
        books.partial_from_stage = None
        return Outcome(Status.FAILED, message, books.stages_completed, books.detail(), books.figures())

    def _out_of_time(self, error: OutOfTime) -> Outcome:
        """Failed; or, where the retriever asks for it, degraded with what there is."""
        if self._definition.budget.on_deadline != "partial" or self._finished is None:
            return self._failed(error.message)
        planned, documents = self._finished
        self._books.partial_from_stage = planned.name
        self._books.note_deadline(planned, error.message)
        try:
            return replace(self._ended_early(documents), status=Status.DEGRADED)
        except (KennelError, StageFailed) as failure:
            return self._failed(str(failure))

    def _ended_early(self, documents: Sequence[Document]) -> Outcome:
        result = Result(self._claim, documents, self._order, self._store, is_result=False)
        return result.outcome(
            self._books, cursor_secret=self._cursor_secret, max_bytes=self._result_max_bytes
        )
