"""All stages, found by scanning workers/stages/ and the entry points of other packages."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import workers.stages
from workers.stages.base import Stage

ENTRY_POINT_GROUP = "kennel.stages"
_NOT_STAGES = {"base", "registry"}


class StageAlreadyRegistered(Exception):
    """Two classes claim one stage id; rename one."""


@cache
def load_all() -> dict[str, type[Stage[Any]]]:
    """Stage id (and alias) -> class. Every module in workers/stages/ is imported, in name order."""
    names = sorted(module.name for module in pkgutil.iter_modules(workers.stages.__path__))
    modules = [importlib.import_module(f"workers.stages.{name}") for name in names if name not in _NOT_STAGES]
    found = [stage for module in modules for stage in _stages_in(module)]
    found += [entry.load() for entry in entry_points(group=ENTRY_POINT_GROUP)]
    registry: dict[str, type[Stage[Any]]] = {}
    for stage in found:
        for stage_id in (stage.stage_id, *stage.aliases):
            if stage_id in registry:
                raise StageAlreadyRegistered(f"{stage_id}: {registry[stage_id]!r} and {stage!r}")
            registry[stage_id] = stage
    return registry


def catalogue() -> dict[str, dict[str, Any]]:
    """What workers publish for the API: stage id -> catalogue entry, ready for JSON."""
    return {stage.stage_id: _entry(stage) for stage in load_all().values()}


def _stages_in(module: Any) -> list[type[Stage[Any]]]:
    classes = inspect.getmembers(module, inspect.isclass)
    return [
        cls
        for _, cls in classes
        if issubclass(cls, Stage) and not inspect.isabstract(cls) and cls.__module__ == module.__name__
    ]


def _entry(stage: type[Stage[Any]]) -> dict[str, Any]:
    return {
        "stage_id": stage.stage_id,
        "description": inspect.cleandoc(stage.__doc__ or ""),
        "category": stage.category,
        "icon": stage.icon,
        "aliases": list(stage.aliases),
        "cost_tier": stage.cost_tier,
        "parameter_schema": stage.Parameters.model_json_schema(),
    }
