"""What a stage is: its parameters, what it gets, what it gives back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from shared.filters import SortKey
from shared.models.document import Document
from workers.context import StageContext
from workers.documents.selection import Selection

CREDITS_PER_STAGE = 0.01
CREDITS_PER_INPUT_DOCUMENT = 0.0001


class StageParameters(BaseModel):
    """Base of all parameter models: rendered values, validated strictly; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# A dotted path, by the rules of shared/filters/paths.py.
FieldPath = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^.]+(\.[^.]+){0,19}$")]

P = TypeVar("P", bound=StageParameters)


@dataclass(frozen=True, slots=True)
class StageOutput:
    """The documents that go on, and what the stage reports in its statistics."""

    documents: list[Document]
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Stage(ABC, Generic[P]):
    """One step of a pipeline. The class docstring is its description in the catalogue.

    The runner owns timing, counts, credits, budget, deadline, cancellation and error wrapping; a stage
    only transforms documents, and never changes the ones it is given.
    """

    stage_id: ClassVar[str]
    category: ClassVar[str]  # filter, sort, reduce, apply or enrich
    icon: ClassVar[str] = "layers"
    aliases: ClassVar[tuple[str, ...]] = ()
    cost_tier: ClassVar[str] = "cheap"
    Parameters: ClassVar[type[StageParameters]]
    # Parameters that hold a filter tree, `*` for each item of a list: a condition whose input was not given
    # is dropped from it.
    filter_parameters: ClassVar[tuple[str, ...]] = ()

    def __init__(self, parameters: P) -> None:
        self.parameters = parameters

    @classmethod
    def normalise(cls, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """One form for parameters that can be written in several, before templates are rendered."""
        return parameters

    @abstractmethod
    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        """Transform the documents. Empty input is always legal.

        Raises:
            StageError, InvalidInput: the runner adds stage name and index.
        """

    def refine(self, selection: Selection, context: StageContext) -> Selection | None:
        """The same work as `run`, done by the engine before documents are fetched; None = not possible.

        Only for stages whose result is the same both ways (a property test holds each to it).
        """
        return None

    @property
    def searched_feature(self) -> str | None:
        """URI of the vectors it searches, for later stages that compare documents."""
        return None

    def order(self, before: Sequence[SortKey] | None) -> Sequence[SortKey] | None:
        """What its output is ordered by, given the order of its input; ties by document id.

        Keyset pages go by it. () = by document id alone; None = nothing that a field tells.
        """
        return before

    @classmethod
    def credits_for(cls, input_count: int) -> float:
        """Charged once when the stage completes."""
        return CREDITS_PER_STAGE + CREDITS_PER_INPUT_DOCUMENT * input_count
