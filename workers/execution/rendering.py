"""Filling in the templates of one run: what they see, and what becomes of filters without their inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.filters import Filter, parse_filter, substitute_dynamic
from shared.models.document import Document
from shared.models.execution import Claim
from shared.templates import Scope, render, render_filters
from workers.execution.books import Books
from workers.execution.definition import PlannedStage

Loc = tuple[str | int, ...]


class Rendering:
    """One per run."""

    def __init__(self, claim: Claim, books: Books) -> None:
        self._claim = claim
        self._books = books
        self.outputs: dict[str, Sequence[Document]] = {}  # by stage name
        self._aliases: dict[str, Sequence[Document]] = {}

    def remember(self, planned: PlannedStage, documents: Sequence[Document]) -> None:
        """What a stage returned, for the templates of later ones."""
        self.outputs[planned.name] = documents
        if planned.output_alias:
            self._aliases[planned.output_alias] = documents

    def parameters(self, planned: PlannedStage) -> Mapping[str, Any]:
        """The parameters of a stage with their values in place; filter trees with their own rules.

        Raises:
            InvalidInput: at the template that failed.
        """
        trees = list(_filter_trees(planned))
        rest: Any = planned.parameters
        for path, _ in trees:
            rest = _replaced(rest, path, None)
        rendered: Any = render(rest, self._scope(planned), loc=("parameters",))
        for path, tree in trees:
            rendered = _replaced(rendered, path, self._filter_tree(tree, planned, ("parameters", *path)))
        return dict(rendered)

    def filter(self, tree: Mapping[str, Any] | None, planned: PlannedStage | None, loc: Loc) -> Filter | None:
        """Raises InvalidInput at the place that is wrong."""
        return parse_filter(self._filter_tree(tree, planned, loc), loc=loc) if tree else None

    def _filter_tree(self, tree: Mapping[str, Any], planned: PlannedStage | None, loc: Loc) -> Any:
        """The tree with its values in place; a condition without its input is dropped and reported."""
        substituted, missing = substitute_dynamic(tree, self._claim.request.inputs)
        rendered, dropped = render_filters(substituted, self._scope(planned), loc=loc)
        self._books.relaxations += [
            f"condition on {name!r} dropped: its input was not given" for name in missing + dropped
        ]
        return rendered

    def _scope(self, planned: PlannedStage | None) -> Scope:
        """What earlier stages returned is only made ready for a stage that reads it."""
        report = self._books.budget_report()
        context: dict[str, Any] = {
            "execution_id": self._claim.execution_id,
            "namespace_id": self._claim.namespace_id,
            "budget_remaining": report["credits_remaining"],
            "time_used_ms": report["time_used_ms"],
        }
        stages = self._books.statistics()
        if planned is not None and planned.reads_stages:
            context |= {alias: _readable(documents) for alias, documents in self._aliases.items()}
            for name, documents in self.outputs.items():
                stages[name]["documents"] = _readable(documents)
        return Scope(inputs=self._claim.request.inputs, context=context, stage=stages)


def _readable(documents: Sequence[Document]) -> list[dict[str, Any]]:
    return [document.fields() for document in documents]


def _filter_trees(planned: PlannedStage) -> Iterator[tuple[Loc, Mapping[str, Any]]]:
    """Path and tree of each filter among the parameters; `searches.*.pre_filters` goes into each item."""
    for pattern in planned.stage.filter_parameters:
        for path, value in _matches(planned.parameters, tuple(pattern.split(".")), ()):
            if value is not None:
                yield path, value


def _matches(value: Any, parts: tuple[str, ...], path: Loc) -> Iterator[tuple[Loc, Any]]:
    if not parts:
        yield path, value
    elif parts[0] == "*":
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from _matches(item, parts[1:], (*path, index))
    elif isinstance(value, Mapping) and parts[0] in value:
        yield from _matches(value[parts[0]], parts[1:], (*path, parts[0]))


def _replaced(tree: Any, path: Loc, value: Any) -> Any:
    """A copy of the tree with another value at the path."""
    if not path:
        return value
    copy: Any = dict(tree) if isinstance(tree, Mapping) else list(tree)
    copy[path[0]] = _replaced(copy[path[0]], path[1:], value)
    return copy
