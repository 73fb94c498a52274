"""Runs the stages of one execution: order, timing, counts, credits, budget, error wrapping."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared import tokens
from shared.documents import CollectionRef, DocumentStore
from shared.errors import BudgetExceeded, KennelError
from shared.filters import Filter, compile_predicate, parse_filter, substitute_dynamic
from shared.logs import log_event
from shared.models.document import Document
from shared.models.execution import Budget, Claim, Detail, Page, Status, figures, pagination_of
from shared.stores.ledger import Outcome
from shared.templates import Scope, render, render_filters
from workers.context import StageContext
from workers.definition import Definition, PlannedStage
from workers.run import Run, Stop
from workers.selection import Selection
from workers.stages.base import Stage

log = logging.getLogger("kennel.pipeline")

Upstream = Selection | list[Document]


@dataclass(slots=True)
class StageEntry:
    """What the statistics say of one stage."""

    planned: PlannedStage
    begun: float
    behind_search: bool = False
    input_count: int = 0
    output_count: int = 0
    duration_ms: float = 0.0
    credits: float = 0.0
    error: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def statistics(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "input_count": self.input_count,
            "output_count": self.output_count,
            "duration_ms": round(self.duration_ms, 3),
            "efficiency": round(self.output_count / self.input_count, 6) if self.input_count else 0.0,
            "cache_hit": False,
            "stage_cache_hit": False,
        }
        if self.error is not None:
            body["error"] = self.error
        if self.metadata:
            body["metadata"] = self.metadata
        return body


class StageFailed(Exception):
    """A stage ended the execution; the message is the sentence that the record shows."""


class Pipeline:
    """One run of one execution. `run` returns its outcome, or raises what a `Stop` says."""

    def __init__(
        self,
        run: Run,
        definition: Definition,
        store: DocumentStore,
        *,
        cursor_secret: Callable[[], bytes],
        max_time_ms: int,
        result_max_bytes: int,
    ) -> None:
        self._run = run
        self._claim: Claim = run.claim
        self._definition = definition
        self._store = store
        self._cursor_secret = cursor_secret
        self._max_time_ms = definition.budget.max_time_ms or max_time_ms
        self._result_max_bytes = result_max_bytes
        self._begun = time.monotonic()
        self._refs = [CollectionRef(self._claim.namespace_id, c) for c in self._claim.request.collection_ids]
        self._entries: list[StageEntry] = []
        self._unfetched: list[StageEntry] = []
        self._settled = 0
        self._credits = 0.0
        self._warnings = list(self._claim.request.warnings)
        self._relaxations: list[str] = []
        self._degraded: list[dict[str, Any]] = []

    def run(self) -> Outcome:
        """Every stage in order.

        Raises:
            Stop: the execution must not go on here; nothing is to be written.
        """
        try:
            upstream: Upstream = Selection(
                self._refs, where=self._filter(self._claim.request.filters, ("filters",))
            )
            for planned in self._definition.stages:
                upstream = self._stage(planned, upstream)
            return self._completed(self._documents(upstream))
        except StageFailed as failure:
            return self._failed(str(failure))
        except KennelError as error:
            return self._failed(error.message)

    # One stage

    def _stage(self, planned: PlannedStage, upstream: Upstream) -> Upstream:
        self._check()
        entry = StageEntry(planned, time.perf_counter(), behind_search=_has_search(upstream))
        if planned.skip_on_error:
            upstream = self._documents(upstream) if self._unfetched else upstream
        try:
            return self._attempt(entry, upstream)
        except (Stop, StageFailed, BudgetExceeded):
            raise
        except Exception as error:
            message = _sentence(entry.planned, error)
            if not planned.skip_on_error:
                self._settle(entry, error=message)
                raise StageFailed(message) from error
            return self._skip(entry, message, upstream)

    def _attempt(self, entry: StageEntry, upstream: Upstream) -> Upstream:
        planned = entry.planned
        context = self._context(planned)
        stage = planned.ready or planned.make(self._rendered(planned))
        if planned.pre_filters:
            upstream = self._narrowed(upstream, self._filter(planned.pre_filters, ("pre_filters",)))
        if isinstance(upstream, Selection):
            refined = stage.refine(upstream, context)
            if refined is not None:
                self._unfetched.append(entry)
                return self._fetch(refined) if planned.skip_on_error else refined
        documents = self._documents(upstream)
        output = stage.run(documents, context)
        entry.metadata.update(output.metadata)
        entry.input_count, entry.output_count = len(documents), len(output.documents)
        self._settle(entry, stage)
        return output.documents

    def _rendered(self, planned: PlannedStage) -> Mapping[str, Any]:
        scope = self._scope()
        rest = {k: v for k, v in planned.parameters.items() if k not in planned.stage.filter_parameters}
        parameters: dict[str, Any] = render(rest, scope, loc=("parameters",))
        for name in planned.stage.filter_parameters:
            if planned.parameters.get(name) is not None:
                parameters[name] = self._filter_tree(planned.parameters[name], ("parameters", name))
        return parameters

    def _skip(self, entry: StageEntry, message: str, upstream: Upstream) -> list[Document]:
        """`on_error: skip`: the previous stage's documents go on, and the run counts as degraded."""
        self._unfetched.clear()
        documents = upstream if isinstance(upstream, list) else []
        entry.input_count = entry.output_count = len(documents)
        self._settle(entry, error=message)
        self._degraded.append(
            {
                "resource": "stage",
                "id": entry.planned.stage_id,
                "reason": message,
                "next_step": "Repair the stage, or read the documents as they were before it.",
                "stage": entry.planned.name,
            }
        )
        return documents

    # Documents that are still in the engine

    def _documents(self, upstream: Upstream) -> list[Document]:
        return self._fetch(upstream) if isinstance(upstream, Selection) else upstream

    def _fetch(self, selection: Selection) -> list[Document]:
        """Ask the engine, and settle the stages whose work it did; the first of them gets the time."""
        waiting, self._unfetched = self._unfetched, []
        begun = time.perf_counter()
        try:
            fetched = selection.fetch(self._store)
        except KennelError as error:
            if not waiting:
                raise
            message = _sentence(waiting[0].planned, error)
            if waiting[0].planned.skip_on_error:
                raise
            self._settle(waiting[0], error=message)
            raise StageFailed(message) from error
        count = 0
        for entry in waiting:
            entry.input_count = count
            count = entry.output_count = len(fetched.documents) if entry.behind_search else fetched.found
            if len(waiting) > 1:
                entry.metadata["pushed_down"] = True
            self._settle(entry, entry.planned.stage, begun_at=begun if entry is not waiting[0] else None)
            begun = time.perf_counter()
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

    # Filters and templates

    def _scope(self) -> Scope:
        budget = self._definition.budget
        report = budget.report(self._credits, self._spent_ms())
        context = {
            "execution_id": self._claim.execution_id,
            "namespace_id": self._claim.namespace_id,
            "budget_remaining": report["credits_remaining"],
            "time_used_ms": report["time_used_ms"],
        }
        stages = {entry.planned.name: entry.statistics() for entry in self._entries}
        return Scope(inputs=self._claim.request.inputs, context=context, stage=stages)

    def _filter_tree(self, tree: Mapping[str, Any], loc: Sequence[str | int]) -> Any:
        """The tree with its values in place; a condition without its input is dropped and reported."""
        substituted, missing = substitute_dynamic(tree, self._claim.request.inputs)
        rendered, dropped = render_filters(substituted, self._scope(), loc=loc)
        self._relaxations += [
            f"condition on {name!r} dropped: its input was not given" for name in missing + dropped
        ]
        return rendered

    def _filter(self, tree: Mapping[str, Any] | None, loc: Sequence[str | int]) -> Filter | None:
        return parse_filter(self._filter_tree(tree, loc), loc=loc) if tree else None

    # Limits and bookkeeping

    def _context(self, planned: PlannedStage) -> StageContext:
        return StageContext(
            execution_id=self._claim.execution_id,
            stage_index=planned.index,
            stage_name=planned.name,
            namespace_id=self._claim.namespace_id,
            inputs=self._claim.request.inputs,
            collections=self._refs,
            documents=self._store,
            warn=self._warnings.append,
            check=self._check,
        )

    def _spent_ms(self) -> float:
        return self._claim.spent_ms + (time.monotonic() - self._begun) * 1000

    def _check(self) -> None:
        self._run.check()
        spent_ms = self._spent_ms()
        if spent_ms > self._max_time_ms:
            raise BudgetExceeded(
                f"max_time_ms exceeded: {spent_ms:.0f} ms used of {self._max_time_ms} ms; "
                "raise the limit or simplify the stages"
            )

    def _settle(
        self,
        entry: StageEntry,
        stage: Stage[Any] | type[Stage[Any]] | None = None,
        *,
        error: str | None = None,
        begun_at: float | None = None,
    ) -> None:
        """A stage has ended: note it, charge it, tell whoever watches."""
        entry.duration_ms = (time.perf_counter() - (begun_at or entry.begun)) * 1000
        entry.error = error
        self._entries.append(entry)
        if error is None:
            self._settled += 1
            entry.credits = entry.planned.stage.credits_for(entry.input_count)
            self._credits += entry.credits
        elif entry.planned.skip_on_error:
            self._settled += 1
        self._log(entry)
        following = entry.planned.index + 1
        if following < len(self._definition.stages):
            name = self._definition.stages[following].name
            self._run.publish(name, self._settled, self._detail_now)
        limit = self._definition.budget.max_credits
        if error is None and limit is not None and self._credits > limit:
            raise BudgetExceeded(
                f"max_credits exceeded: {self._credits:.6g} used of {limit:g} after stage "
                f"{entry.planned.name!r}; raise the limit or simplify the stages"
            )

    def _log(self, entry: StageEntry) -> None:
        if entry.error is None and not log.isEnabledFor(logging.DEBUG):
            return
        log_event(
            log,
            "stage.failed" if entry.error else "stage.completed",
            level=logging.WARNING if entry.error else logging.DEBUG,
            execution_id=self._claim.execution_id,
            stage=entry.planned.name,
            attempt=self._claim.attempt,
            duration_ms=entry.duration_ms,
            input_count=entry.input_count,
            output_count=entry.output_count,
        )

    # Answers

    def _figures(self, returned: int = 0) -> bytes:
        processed = sum(max(entry.input_count, entry.output_count) for entry in self._entries)
        return figures(credits_used=self._credits, processed=processed, returned=returned)

    def _detail(self, documents: Sequence[Any], pagination: Mapping[str, Any]) -> bytes:
        spent_ms = self._spent_ms()
        request = self._claim.request
        interpretation = dict(request.interpretation)
        if self._relaxations:
            interpretation["relaxations"] = self._relaxations
        return Detail(
            budget=self._definition.budget.report(self._credits, spent_ms),
            pagination=pagination,
            stages={entry.planned.name: entry.statistics() for entry in self._entries},
            total_time_ms=spent_ms,
            credits_used=self._credits,
            documents=documents,
            degraded=self._degraded,
            warnings=self._warnings,
            interpretation=interpretation,
        ).to_json()

    def _detail_now(self) -> tuple[bytes, bytes]:
        page = self._claim.request.page
        return self._detail([], pagination_of(page, 0, 0, None)), self._figures()

    def _completed(self, documents: list[Document]) -> Outcome:
        self._check()
        rows = [orjson.dumps(document.result()) for document in documents]
        self._refuse_oversized(rows)
        page = self._claim.request.page
        shown = rows[page.offset : page.offset + page.size]
        cursor = self._next_cursor(page, len(rows))
        detail = self._detail(
            [orjson.Fragment(row) for row in shown], pagination_of(page, len(rows), len(shown), cursor)
        )
        status = Status.DEGRADED if self._degraded else Status.COMPLETED
        whole = rows if len(shown) < len(rows) else ()
        return Outcome(status, None, self._settled, detail, self._figures(len(shown)), whole)

    def _next_cursor(self, page: Page, total: int) -> str | None:
        following = page.offset + page.size
        if page.method != "cursor" or following >= total:
            return None
        return tokens.sign([self._claim.execution_id, following, page.size], self._cursor_secret())

    def _refuse_oversized(self, rows: Sequence[bytes]) -> None:
        size_bytes = sum(map(len, rows))
        if size_bytes > self._result_max_bytes:
            raise StageFailed(
                f"the result has {size_bytes:,} bytes, over the limit of {self._result_max_bytes:,}; "
                "keep fewer documents (final_top_k, sample) or smaller ones"
            )

    def _failed(self, message: str) -> Outcome:
        page = self._claim.request.page
        detail = self._detail([], pagination_of(page, 0, 0, None))
        return Outcome(Status.FAILED, message, self._settled, detail, self._figures())


def _has_search(upstream: Upstream) -> bool:
    return isinstance(upstream, Selection) and upstream.query is not None


def _sentence(planned: PlannedStage, error: Exception) -> str:
    """What went wrong, where; the text of an unforeseen exception stays in the worker's log."""
    if isinstance(error, KennelError):
        reason = error.message
    else:
        reason = f"unexpected {type(error).__name__}; the worker's log has more"
        log.exception("stage %s raised", planned.stage_id)
    return f"stage {planned.name!r} (index {planned.index}, {planned.stage_id}) failed: {reason}"


def failed_before_start(claim: Claim, message: str) -> Outcome:
    """The outcome of an execution no stage of which could run."""
    pagination = pagination_of(claim.request.page, 0, 0, None)
    detail = Detail(budget=Budget().report(0.0, claim.spent_ms), pagination=pagination)
    return Outcome(Status.FAILED, message, 0, detail.to_json(), figures())
