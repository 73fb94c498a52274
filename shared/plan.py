"""A retriever's stages against the catalogue that the workers publish; no stage is imported here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict

from shared.errors import FieldError, InvalidInput, raise_invalid
from shared.parameters import SIMPLE_FILTER, ParameterSchema, filter_errors, listed, shown

STAGES_MAX = 50
DEFINITION_MAX_BYTES = 1_000_000
_ERRORS_MAX = 50
_NAME_MAX_CHARACTERS = 255
_ON_ERROR = ("error", "skip")
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
# What CONTEXT holds in any case.
_CONTEXT_NAMES = ("execution_id", "namespace_id", "budget_remaining", "time_used_ms")

# Fields of the contract that Kennel refuses for now. Enable one by moving it into StageDefinition.
_STAGE_UNSUPPORTED = ("batch_size",)
_CONFIG_UNSUPPORTED = ("post_filters",)

_STAGE_KEYS = frozenset((
    "stage_name", "stage_type", "config", "parameters", "description", "on_error", "output_alias",
    *_STAGE_UNSUPPORTED,
))  # fmt: skip
_CONFIG_KEYS = frozenset(("stage_id", "parameters", "pre_filters", *_CONFIG_UNSUPPORTED))

Loc = tuple[str | int, ...]
StageType = Literal["filter", "sort", "reduce", "apply", "enrich"]


class CatalogueEntry(BaseModel):
    """What a worker publishes about one stage."""

    model_config = ConfigDict(frozen=True)

    stage_id: str
    category: StageType
    description: str
    icon: str = ""
    cost_tier: Literal["cheap", "moderate", "expensive"] = "moderate"
    parameter_schema: dict[str, Any]
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @cached_property
    def parameters(self) -> ParameterSchema:
        """The compiled parameter schema."""
        return ParameterSchema(self.parameter_schema)


class Catalogue(Mapping[str, CatalogueEntry]):
    """The published stages. Looked up by id or alias; iterated by id."""

    def __init__(self, entries: Sequence[CatalogueEntry]) -> None:
        self._entries = {entry.stage_id: entry for entry in entries}
        self._aliases = {alias: entry.stage_id for entry in entries for alias in entry.aliases}

    def __getitem__(self, stage_id: str) -> CatalogueEntry:
        return self._entries[self._aliases.get(stage_id, stage_id)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


@dataclass(frozen=True)
class StageDefinition:
    """One validated stage. Parameters and filters still hold their templates; treat both as immutable."""

    stage_name: str
    stage_id: str
    stage_type: StageType
    parameters: Mapping[str, Any]
    pre_filters: Mapping[str, Any] | None = None
    on_error: Literal["error", "skip"] = "error"
    description: str | None = None
    output_alias: str | None = None

    def as_wire(self) -> dict[str, Any]:
        """The stage as answers show it: `parameters` stands beside `config` as well as inside it."""
        return {
            "stage_name": self.stage_name,
            "stage_type": self.stage_type,
            "config": {
                "stage_id": self.stage_id,
                "parameters": self.parameters,
                "pre_filters": self.pre_filters,
            },
            "parameters": self.parameters,
            "on_error": self.on_error,
            "description": self.description,
            "output_alias": self.output_alias,
        }


def validate_stages(
    stages: Any, catalogue: Catalogue, *, loc: Sequence[str | int] = ("stages",)
) -> list[StageDefinition]:
    """The stages of a definition, checked against the catalogue.

    Raises:
        InvalidInput: with everything that is wrong in the whole definition, at most 50 places.
    """
    if not isinstance(stages, list) or not 1 <= len(stages) <= STAGES_MAX:
        given = f"{len(stages)} were given" if isinstance(stages, list) else f"not {shown(stages)}"
        raise InvalidInput.at(loc, f"a list of 1 to {STAGES_MAX} stages is expected, {given}")
    _check_size(stages, loc)
    errors: list[FieldError] = []
    names: set[str] = set()
    aliases: set[str] = set()
    definitions = []
    for index, stage in enumerate(stages):
        reader = _StageReader(catalogue, (*loc, index), names, aliases)
        definition = reader.read(stage)
        errors += reader.errors
        if definition is not None:
            definitions.append(definition)
    raise_invalid(errors[:_ERRORS_MAX])
    return definitions


def _check_size(stages: list[Any], loc: Sequence[str | int]) -> None:
    """Bounds the work of all that follows."""
    try:
        size_bytes = len(orjson.dumps(stages))
    except TypeError:
        raise InvalidInput.at(loc, "the stages are nested too deeply") from None
    if size_bytes > DEFINITION_MAX_BYTES:
        raise InvalidInput.at(
            loc, f"the stages have {size_bytes:,} bytes; at most {DEFINITION_MAX_BYTES:,} are allowed"
        )


def ignored_keys(stages: Sequence[Mapping[str, Any]], *, loc: Sequence[str | int] = ("stages",)) -> list[Loc]:
    """Places of keys in stages and their configs that mean nothing here, for an answer's `warnings`."""
    found: list[Loc] = []
    for index, stage in enumerate(stages):
        found += [(*loc, index, key) for key in stage if key not in _STAGE_KEYS]
        found += [(*loc, index, "config", key) for key in stage["config"] if key not in _CONFIG_KEYS]
    return found


class _StageReader:
    """Reads one stage and collects what is wrong with it."""

    def __init__(self, catalogue: Catalogue, loc: Loc, names: set[str], aliases: set[str]) -> None:
        self._catalogue = catalogue
        self._loc = loc
        self._names = names
        self._aliases = aliases
        self._stage_name = ""
        self.errors: list[FieldError] = []

    def read(self, stage: Any) -> StageDefinition | None:
        """The definition; None, or one to be thrown away, when `errors` is not empty."""
        if not isinstance(stage, Mapping) or not isinstance(stage.get("config"), Mapping):
            self._error(
                (), 'an object {"stage_name", "config": {"stage_id", "parameters"}} is expected', "type_error"
            )
            return None
        config = stage["config"]
        stage_name = self._read_name(stage.get("stage_name"))
        self._refuse_unsupported(stage, config)
        on_error = self._read_on_error(stage.get("on_error"))
        description = self._read_description(stage.get("description"))
        alias = self._read_alias(stage.get("output_alias"))
        pre_filters = config.get("pre_filters") or None
        self._check_filter(pre_filters, ("config", "pre_filters"))
        entry = self._read_entry(config.get("stage_id"), stage.get("stage_type"))
        if entry is None:
            return None
        parameters = self._read_parameters(config.get("parameters", stage.get("parameters")), entry)
        return StageDefinition(
            stage_name, entry.stage_id, entry.category, parameters, pre_filters, on_error, description, alias
        )

    def _read_name(self, name: Any) -> str:
        if not isinstance(name, str) or not 1 <= len(name) <= _NAME_MAX_CHARACTERS:
            words = f"{shown(name)} is not a text of 1 to {_NAME_MAX_CHARACTERS} characters"
            self._error(("stage_name",), words, "type_error")
            return ""
        self._stage_name = name
        if name in self._names:
            self._error(("stage_name",), f"{name!r} is used twice; give each stage its own name", "duplicate")
        self._names.add(name)
        return name

    def _refuse_unsupported(self, stage: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        for key in _STAGE_UNSUPPORTED:
            if stage.get(key) is not None:
                self._error((key,), "not supported yet; leave it out", "unsupported")
        for key in _CONFIG_UNSUPPORTED:
            if config.get(key):
                self._error(
                    ("config", key), "not supported yet; add an attribute_filter stage instead", "unsupported"
                )

    def _read_on_error(self, on_error: Any) -> Literal["error", "skip"]:
        if on_error not in (*_ON_ERROR, None):
            self._error(
                ("on_error",), f"{shown(on_error)} is not allowed; {listed(on_error, _ON_ERROR)}", "enum"
            )
        return "skip" if on_error == "skip" else "error"

    def _read_description(self, description: Any) -> str | None:
        if description is not None and not isinstance(description, str):
            self._error(("description",), f"{shown(description)} is not a text", "type_error")
            return None
        return description

    def _read_alias(self, alias: Any) -> str | None:
        if alias is None:
            return None
        if not isinstance(alias, str) or not _ALIAS.fullmatch(alias) or alias in _CONTEXT_NAMES:
            words = (
                f"{shown(alias)} is no alias: letters, digits and underscores, and none of {_CONTEXT_NAMES}"
            )
            self._error(("output_alias",), words, "value_error")
        elif alias in self._aliases:
            self._error(("output_alias",), f"{alias!r} is used twice; give each its own alias", "duplicate")
        else:
            self._aliases.add(alias)
        return str(alias)

    def _read_entry(self, stage_id: Any, stage_type: Any) -> CatalogueEntry | None:
        entry = self._catalogue.get(stage_id) if isinstance(stage_id, str) else None
        if entry is None:
            words = f"{shown(stage_id)} is not a known stage; {listed(stage_id, list(self._catalogue))}"
            self._error(("config", "stage_id"), words, "unknown_stage")
        elif stage_type not in (entry.category, None):
            words = (
                f"{shown(stage_type)} is not {entry.category!r}, the type of {entry.stage_id}; leave it out"
            )
            self._error(("stage_type",), words, "enum")
        return entry

    def _read_parameters(self, parameters: Any, entry: CatalogueEntry) -> Mapping[str, Any]:
        at: Loc = ("config", "parameters")
        if not isinstance(parameters, Mapping | None):
            self._error(at, f"an object is expected, not {shown(parameters)}", "type_error")
            return {}
        given, errors = entry.parameters.check(parameters or {}, (*self._loc, *at))
        for error in errors:
            self._add(error)
        for place, tree in entry.parameters.filter_trees(given):
            self._check_filter(tree, (*at, *place), check_templates=False)
        for name, schema in entry.parameters.properties.items():
            if isinstance(given.get(name), Mapping):
                continue
            if condition := {part: given[part] for part in schema.get(SIMPLE_FILTER, ()) if part in given}:
                self._check_filter({"field": "unset", "value": None, **condition}, at, check_templates=False)
        return given

    def _check_filter(self, tree: Any, at: Loc, *, check_templates: bool = True) -> None:
        for error in filter_errors(tree, (*self._loc, *at), check_templates=check_templates):
            self._add(error)

    def _error(self, at: Loc, msg: str, type_: str) -> None:
        self._add({"loc": [*self._loc, *at], "msg": msg, "type": type_})

    def _add(self, error: FieldError) -> None:
        suffix = f" (stage {self._stage_name!r})" if self._stage_name else ""
        self.errors.append({**error, "msg": error["msg"] + suffix})
