"""One stage by itself, without a pipeline around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from shared.documents import CollectionRef, DocumentStore
from shared.errors import dotted
from shared.models.document import Document
from shared.parameters import ParameterSchema
from tests.unit.workers.pipelines import NAMESPACE, NoEmbeddings
from workers.context import StageContext
from workers.stages.base import Stage, StageOutput


@dataclass
class Alone:
    """Runs a stage with these parameters and keeps what it warned of."""

    stage: type[Stage[Any]]
    store: DocumentStore | None = None
    collection_ids: Sequence[str] = ()
    searched_feature: str | None = None
    execution_id: str = "exec_1"
    warnings: list[str] = field(default_factory=list)
    checks: int = 0

    def run(self, documents: Sequence[Document], **parameters: Any) -> StageOutput:
        made = self.stage(self.stage.Parameters.model_validate(self.stage.normalise(parameters)))
        return made.run(list(documents), self._context())

    def ids(self, documents: Sequence[Document], **parameters: Any) -> list[str]:
        return [each.document_id for each in self.run(documents, **parameters).documents]

    def _context(self) -> StageContext:
        return StageContext(
            execution_id=self.execution_id,
            attempt=1,
            stage_index=2,
            stage_name="alone",
            namespace_id=NAMESPACE,
            inputs={},
            collections=[CollectionRef(NAMESPACE, each) for each in self.collection_ids],
            documents=self.store,  # type: ignore[arg-type]  # only stages that read need one
            embeddings=NoEmbeddings(),
            resolve_collections=lambda identifiers: identifiers,
            warn=self.warnings.append,
            check=self._check,
            searched_feature=self.searched_feature,
        )

    def _check(self) -> None:
        self.checks += 1


def document(document_id: str, /, score: float | None = None, **fields: Any) -> Document:
    raw = orjson.dumps({"document_id": document_id, **fields})
    return Document(document_id, "col_1", raw, score=score)


def documents_of(values: Sequence[Any], name: str = "value") -> list[Document]:
    """doc_000, doc_001, … with one field each."""
    return [document(f"doc_{number:03}", **{name: value}) for number, value in enumerate(values)]


def refused_when_saved(stage: type[Stage[Any]], parameters: Mapping[str, Any]) -> dict[str, str]:
    """What the schema says before templates are rendered: place -> message."""
    schema = ParameterSchema(orjson.loads(orjson.dumps(stage.Parameters.model_json_schema())))
    _, errors = schema.check(parameters, ())
    return {dotted(error["loc"]): error["msg"] for error in errors}


def refused_when_rendered(stage: type[Stage[Any]], parameters: Mapping[str, Any]) -> str:
    """What the parameter model says."""
    with pytest.raises(ValueError) as caught:
        stage.Parameters.model_validate(parameters)
    return str(caught.value)
