"""How alerts are attached to a collection."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StrictInt, StrictStr, model_validator

from api.schemas.common import RequestModel
from shared.errors import InvalidInput
from shared.filters.paths import validate_path
from shared.models.alert import ATTACHED_MAX, PRIORITY_MAX, Mode

_ALERT_PHASE = 3


def _source_type(value: Any) -> Any:
    if value == "source_blob":
        raise ValueError("'source_blob' is not supported: documents have no blobs here; use document_field")
    return value


def _document_path(value: str | None) -> str | None:
    """As in filters; a leading `$.` (JSONPath) says nothing more."""
    if value is None:
        return None
    try:
        return validate_path(value.removeprefix("$."))
    except InvalidInput as error:
        raise ValueError(error.errors[0]["msg"]) from error


def _phase(value: int | None) -> int:
    if value not in (None, _ALERT_PHASE):
        raise ValueError(f"{value} is not supported: alerts run behind the write; leave it out, or send 3")
    return _ALERT_PHASE


class InputSource(RequestModel):
    source_type: Annotated[Literal["document_field", "constant"], BeforeValidator(_source_type)]
    path: Annotated[
        StrictStr | None,
        AfterValidator(_document_path),
        Field(description="document_field: dotted path in the written document; `$.` before it is fine."),
    ] = None
    value: Annotated[Any, Field(description="constant: the input's value.")] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        needed, other = ("path", "value") if self.source_type == "document_field" else ("value", "path")
        if getattr(self, needed) is None:
            raise ValueError(f"a source of type {self.source_type} needs {needed}")
        if getattr(self, other) is not None:
            raise ValueError(f"a source of type {self.source_type} has no {other}; leave it out")
        return self


class InputMapping(RequestModel):
    input_key: Annotated[
        StrictStr, Field(min_length=1, max_length=255, description="Input of the retriever.")
    ]
    source: InputSource


class AlertApplication(RequestModel):
    """An alert at a collection: when it runs there, and with which inputs in place of its own."""

    alert_id: Annotated[StrictStr, Field(min_length=1, description="Id or name of the alert.")]
    execution_mode: Annotated[
        Mode,
        Field(
            description="on_ingest: for each document that is written; scheduled: when the alert is due; "
            "on_demand: when it is executed with this collection_id."
        ),
    ] = Mode.ON_INGEST
    input_mappings: Annotated[list[InputMapping], Field(min_length=1, max_length=100)]
    execution_phase: Annotated[StrictInt | None, AfterValidator(_phase), Field(description="Only 3.")] = (
        _ALERT_PHASE
    )
    priority: Annotated[
        StrictInt, Field(ge=0, le=PRIORITY_MAX, description="Of several at one collection; higher first.")
    ] = 0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        keys = [each.input_key for each in self.input_mappings]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise ValueError(f"input_mappings maps {twice!r} twice")
        reads = next((e for e in self.input_mappings if e.source.source_type == "document_field"), None)
        if reads is not None and self.execution_mode != Mode.ON_INGEST:
            raise ValueError(
                f"{reads.input_key!r} is mapped from a document, and there is none with execution_mode "
                f"{self.execution_mode}; map a constant"
            )
        return self


AlertApplications = Annotated[
    list[AlertApplication] | None,
    Field(max_length=ATTACHED_MAX, description="Alerts that run here; all of them, whenever it is sent."),
]
