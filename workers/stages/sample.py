"""sample: take a part of the documents at random."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Sequence
from random import Random
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from shared.filters import SortKey, field_value
from shared.models.document import Document
from workers.context import StageContext
from workers.documents.groups import equality_key
from workers.stages.base import FieldPath, Stage, StageOutput, StageParameters


class SampleParameters(StageParameters):
    """How many documents, drawn how."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"strategy": {"const": "stratified"}}},
            "then": {"required": ["stratify_by"], "properties": {"stratify_by": {"type": "string"}}},
            "else": {"properties": {"stratify_by": {"type": "null"}, "min_per_stratum": {"const": 1}}},
        }
    )

    count: int = Field(
        10, ge=1, le=1000, description="Documents that go on, those of preserve_top_k included."
    )
    strategy: Literal["random", "stratified", "reservoir"] = Field(
        "random",
        description="random: each subset is as likely; stratified: each value of stratify_by in proportion; "
        "reservoir: like random, in one pass (Vitter's algorithm R).",
    )
    stratify_by: FieldPath | None = Field(
        None, description="Dotted path of the field whose values are the strata; only for stratified."
    )
    min_per_stratum: int = Field(
        1, ge=0, le=1000, description="Fewest documents of each stratum, as far as count allows."
    )
    seed: int | None = Field(
        None, description="The same seed and documents give the same sample; null: another in each execution."
    )
    preserve_top_k: int = Field(
        0, ge=0, description="First documents that are kept in any case, even if they are more than count."
    )

    @model_validator(mode="after")
    def _strata_are_for_stratified(self) -> Self:
        if self.strategy == "stratified":
            if self.stratify_by is None:
                raise ValueError(
                    "strategy stratified needs stratify_by, the field whose values are the strata"
                )
        elif self.stratify_by is not None or self.min_per_stratum != 1:
            raise ValueError("stratify_by and min_per_stratum are for strategy stratified; leave them out")
        return self


class Sample(Stage[SampleParameters]):
    """Keep a random part of the documents, in the order they came.

    Stratified: each stratum gives in proportion to its size, rounded by largest remainders; documents without
    the field are one stratum. Without a seed, a repeated attempt of an execution draws the same sample.
    """

    stage_id: ClassVar[str] = "sample"
    category: ClassVar[str] = "reduce"
    icon: ClassVar[str] = "shuffle"
    Parameters = SampleParameters

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        parameters = self.parameters
        preserved = min(parameters.preserve_top_k, len(documents))
        size = max(min(parameters.count, len(documents)) - preserved, 0)
        rest = range(preserved, len(documents))
        random = Random(context.idempotency_token if parameters.seed is None else str(parameters.seed))
        if parameters.stratify_by is not None:
            drawn = self._draw_stratified(documents, rest, size, random, context)
        elif parameters.strategy == "reservoir":
            drawn = draw_in_one_pass(rest, size, random)
        else:
            drawn = draw(rest, size, random)
        return StageOutput([documents[place] for place in sorted([*range(preserved), *drawn])])

    def order(self, before: Sequence[SortKey] | None) -> Sequence[SortKey] | None:
        return None  # the next page would be of another sample

    def _draw_stratified(
        self, documents: list[Document], rest: range, size: int, random: Random, context: StageContext
    ) -> list[int]:
        strata = _strata(documents, rest, str(self.parameters.stratify_by))
        minimum = self.parameters.min_per_stratum
        needed = sum(min(minimum, len(stratum)) for stratum in strata)
        if needed > size:
            context.warn(
                f"sample: {minimum} of each of {len(strata)} strata would be {needed} documents, "
                f"but only {size} are drawn; raise count"
            )
        shares = allocate([len(stratum) for stratum in strata], size, minimum)
        return [
            place
            for stratum, share in zip(strata, shares, strict=True)
            for place in draw(stratum, share, random)
        ]


def _strata(documents: list[Document], rest: range, path: str) -> list[list[int]]:
    """Places in the list by the value of a field, in the order of appearance."""
    strata: dict[Hashable, list[int]] = {}
    for place in rest:
        strata.setdefault(equality_key(field_value(documents[place], path)), []).append(place)
    return list(strata.values())


# `random()` is all that is used of a generator: only its sequence is the same in every version of Python.


def draw(places: Sequence[int], size: int, random: Random) -> list[int]:
    """`size` of them, each subset as likely: each gets a random number, the least numbers win."""
    numbered = sorted((random.random(), place) for place in places)
    return [place for _, place in numbered[:size]]


def draw_in_one_pass(places: Sequence[int], size: int, random: Random) -> list[int]:
    """The same by algorithm R (Vitter 1985, Random sampling with a reservoir)."""
    reservoir: list[int] = []
    for seen, place in enumerate(places):
        if seen < size:
            reservoir.append(place)
        elif (slot := int(random.random() * (seen + 1))) < size:
            reservoir[slot] = place
    return reservoir


def allocate(sizes: Sequence[int], total: int, minimum: int) -> list[int]:
    """How many each stratum gives.

    One at a time goes to the stratum that is furthest below its proportional share, which is the method of
    largest remainders (Hamilton). Strata that have not reached `minimum` come before all others, those
    with the fewest first, then the largest. Ties go to the earlier stratum.

    Args:
        total: at most the sum of the sizes.
    """
    given = [0] * len(sizes)
    whole = sum(sizes)

    def urgency(stratum: int) -> tuple[bool, int, int, int]:
        count, size = given[stratum], sizes[stratum]
        short = count < min(minimum, size)
        return not short, count if short else 0, count * whole - total * size, stratum

    queue = [urgency(stratum) for stratum in range(len(sizes))]
    heapq.heapify(queue)
    for _ in range(total):
        stratum = queue[0][-1]
        given[stratum] += 1
        heapq.heapreplace(queue, urgency(stratum))
    return given
