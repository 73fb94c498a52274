"""Retriever definitions as workers use them: immutable snapshots, parsed once per process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from pydantic import ValidationError

from shared import keys
from shared.errors import FieldError, InvalidInput, StageError, dotted
from shared.filters import has_dynamic
from shared.models.execution import Budget, Claim
from shared.redis_sync import through_outage
from shared.templates import has_template, references
from workers.stages.base import Stage
from workers.stages.registry import load_all

_CACHE_MAX = 512
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A stage of a definition with the class that runs it."""

    index: int
    name: str
    stage_id: str
    stage: type[Stage[Any]]
    parameters: Mapping[str, Any]
    pre_filters: Mapping[str, Any] | None
    skip_on_error: bool
    output_alias: str | None  # its documents are also CONTEXT.<alias>
    reads_stages: bool  # a template of it needs what earlier stages did or cost
    ready: Stage[Any] | None  # made once, when no parameter holds a template or a dynamic value

    def make(self, parameters: Mapping[str, Any]) -> Stage[Any]:
        """Raises InvalidInput where a rendered value does not fit."""
        try:
            return self.stage(self.stage.Parameters.model_validate(parameters))
        except ValidationError as error:
            raise _invalid(error) from error


@dataclass(frozen=True, slots=True)
class Definition:
    retriever_name: str
    stages: tuple[PlannedStage, ...]
    budget: Budget


class DefinitionCache:
    """Snapshots by retriever and version; safe to share between threads.

    What is run ad hoc is not kept: it comes with its claim, and hardly any comes twice.
    """

    def __init__(self, read: Callable[[str], bytes | None]) -> None:
        """`read` gets a Redis key and returns its value."""
        self._read = read
        self._cached: OrderedDict[tuple[str, int], Definition] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, claim: Claim) -> Definition:
        """Raises StageError when the snapshot is gone or needs a stage this worker does not have."""
        if claim.definition:
            return _parsed(claim.definition)
        key = (claim.retriever_id, claim.version)
        with self._lock:
            if key in self._cached:
                self._cached.move_to_end(key)
                return self._cached[key]
        definition = _parsed(self._snapshot(claim))
        with self._lock:
            self._cached[key] = definition
            if len(self._cached) > _CACHE_MAX:
                self._cached.popitem(last=False)
        return definition

    def _snapshot(self, claim: Claim) -> bytes:
        key = keys.definition(claim.retriever_id, claim.version)
        raw = through_outage(lambda: self._read(key), patience_s=_PATIENCE_S)
        if raw is None:
            raise StageError(f"version {claim.version} of retriever {claim.retriever_id} no longer exists")
        return raw


def _parsed(snapshot: bytes) -> Definition:
    body = orjson.loads(snapshot)
    limits = body.get("budget_limits") or {}
    return Definition(
        body["retriever_name"],
        tuple(_planned(index, stage) for index, stage in enumerate(body["stages"])),
        Budget(limits.get("max_credits"), limits.get("max_time_ms"), limits.get("on_deadline") or "fail"),
    )


def _planned(index: int, stage: Mapping[str, Any]) -> PlannedStage:
    stage_id = stage["stage_id"]
    stage_class = load_all().get(stage_id)
    if stage_class is None:
        raise StageError(
            f"stage {index} needs {stage_id!r}, which this worker does not have; update the workers"
        )
    parameters = stage_class.normalise(stage["parameters"])
    planned = PlannedStage(
        index,
        stage["stage_name"],
        stage_id,
        stage_class,
        parameters,
        stage.get("pre_filters"),
        stage.get("on_error") == "skip",
        stage.get("output_alias"),
        _reads_stages([parameters, stage.get("pre_filters")]),
        None,
    )
    dumped = orjson.dumps(parameters)
    if has_template(dumped.decode()) or has_dynamic(dumped):
        return planned
    return replace(planned, ready=planned.make(parameters))


def _reads_stages(templated: object) -> bool:
    return any(namespace in ("STAGE", "CONTEXT") for namespace, _ in references(templated))


def _invalid(error: ValidationError) -> InvalidInput:
    """pydantic's errors in Kennel's words: each place and what is wrong there."""
    errors: list[FieldError] = [
        {"loc": ["parameters", *item["loc"]], "msg": item["msg"], "type": item["type"]}
        for item in error.errors()
    ]
    text = "; ".join(f"{dotted(item['loc'])}: {item['msg']}" for item in errors[:5])
    return InvalidInput(text, errors=errors)
