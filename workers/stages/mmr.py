"""mmr: trade the relevance of documents against their diversity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import ConfigDict, Field, field_validator, model_validator

from shared.filters import SortKey, field_value, is_number
from shared.models.document import RESULT_MEMBERS, Document
from workers.context import StageContext
from workers.documents.similarity import (
    FieldSimilarity,
    Numbers,
    Similarity,
    VectorSimilarity,
    WeightedSimilarity,
    stored_vectors,
)
from workers.stages.base import FieldPath, Stage, StageOutput, StageParameters

Weight = Annotated[float, Field(ge=0, le=1)]


def _excludes(name: str, kind: str, *others: str) -> dict[str, Any]:
    """JSON Schema: beside this parameter, when it is there, the others are null."""
    absent = {other: {"type": "null"} for other in others}
    return {
        "if": {"required": [name], "properties": {name: {"type": kind}}},
        "then": {"properties": absent},
    }


class DiversityFeature(StageParameters):
    """One of several features to compare by."""

    feature_uri: str = Field(min_length=1, description="Feature whose vectors are compared.")
    weight: Weight = Field(1.0, description="Its weight in the mean of all; 0 leaves it out.")


class MmrParameters(StageParameters):
    """How much relevance counts, and by what documents are compared: one feature, several, or fields."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                _excludes("diversity_feature_uri", "string", "diversity_features", "diversity_fields"),
                _excludes("diversity_features", "array", "diversity_fields"),
                {
                    "if": {"properties": {"diversity_fields": {"type": "null"}}},
                    "then": {"properties": {"diversity_field_weights": {"type": "null"}}},
                },
            ]
        }
    )

    relevance_weight: float = Field(
        0.7, alias="lambda", ge=0, le=1, description="1 = relevance alone decides, 0 = diversity alone."
    )
    top_k: int = Field(25, ge=1, le=500, description="Documents that go on.")
    diversity_feature_uri: str | None = Field(
        None,
        min_length=1,
        description="Feature whose vectors are compared; null: that of the last vector search, unless "
        "diversity_features or diversity_fields say otherwise.",
    )
    diversity_features: Annotated[list[DiversityFeature], Field(min_length=1, max_length=10)] | None = Field(
        None, description="Several features, compared by the weighted mean of their similarities."
    )
    diversity_fields: Annotated[list[FieldPath], Field(min_length=1, max_length=10)] | None = Field(
        None,
        description="Dotted paths of fields to compare instead of vectors: equal values are similar 1, other "
        "values 0, lists by the share of elements that they have in common.",
    )
    diversity_field_weights: dict[str, Weight] | None = Field(
        None, description="Weights of diversity_fields by path, 1 where not given; 0 leaves a field out."
    )
    score_field: FieldPath = Field("score", description="Dotted path of the relevance score.")
    mmr_score_field: FieldPath = Field(
        "scores.mmr", description="Dotted path beside the document where its score in this stage is put."
    )
    similarity_metric: Literal["cosine", "dot", "euclidean"] = Field(
        "cosine", description="How vectors are compared; euclidean: 1 / (1 + distance)."
    )

    @field_validator("mmr_score_field")
    @classmethod
    def _leaves_the_result_whole(cls, path: str) -> str:
        if path.partition(".")[0] in RESULT_MEMBERS:
            raise ValueError(
                f"{path!r} is taken: every result has such a member; choose another, e.g. scores.mmr"
            )
        return path

    @model_validator(mode="after")
    def _compares_by_one_of_three(self) -> Self:
        named = (self.diversity_feature_uri, self.diversity_features, self.diversity_fields)
        if sum(each is not None for each in named) > 1:
            raise ValueError("give one of diversity_feature_uri, diversity_features and diversity_fields")
        strays = (self.diversity_field_weights or {}).keys() - set(self.diversity_fields or ())
        if strays:
            raise ValueError(
                f"diversity_field_weights names {min(strays)!r}, which is not in diversity_fields"
            )
        return self


class Mmr(Stage[MmrParameters]):
    """Take documents one by one: each time the most relevant one that is least like those taken before.

    Relevance is scaled to 0..1 over the documents given (least score 0, greatest 1; no score counts as 0). A
    document that cannot be compared, without the vector or the field, is like no other.
    """

    stage_id: ClassVar[str] = "mmr"
    category: ClassVar[str] = "sort"
    icon: ClassVar[str] = "sparkles"
    cost_tier: ClassVar[str] = "moderate"
    Parameters = MmrParameters

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        parameters = self.parameters
        ordered, relevance = _by_relevance(documents, parameters.score_field)
        picks = maximal_marginal_relevance(
            relevance,
            WeightedSimilarity(self._similarities(ordered, context), len(ordered)),
            relevance_weight=parameters.relevance_weight,
            top_k=parameters.top_k,
            check=context.check,
        )
        return StageOutput(
            [ordered[index].with_attached_at(parameters.mmr_score_field, score) for index, score in picks]
        )

    def order(self, before: Sequence[SortKey] | None) -> Sequence[SortKey] | None:
        return None

    def _similarities(
        self, documents: Sequence[Document], context: StageContext
    ) -> list[tuple[Similarity, float]]:
        """What documents are compared by, with weights; nothing where that would change nothing."""
        if self.parameters.relevance_weight == 1.0 or not documents:
            return []
        parts = self._by_fields(documents) or self._by_vectors(documents, context)
        if not parts:
            context.warn(
                "mmr: there is nothing to compare these documents by, so relevance alone orders them; name a "
                "feature that they have vectors of, or diversity_fields"
            )
        return parts

    def _by_fields(self, documents: Sequence[Document]) -> list[tuple[Similarity, float]]:
        """Fields that none of the documents has are left out."""
        given = self.parameters.diversity_field_weights or {}
        parts: list[tuple[Similarity, float]] = []
        for path in self.parameters.diversity_fields or ():
            weight = given.get(path, 1.0)
            values = [field_value(document, path) for document in documents]
            if weight > 0 and any(value is not None for value in values):
                parts.append((FieldSimilarity(values), weight))
        return parts

    def _by_vectors(
        self, documents: Sequence[Document], context: StageContext
    ) -> list[tuple[Similarity, float]]:
        """Features that none of the documents has vectors of are left out."""
        parts: list[tuple[Similarity, float]] = []
        for feature, weight in self._features(context):
            vectors = stored_vectors(documents, feature, context)
            if any(map(len, vectors)):
                parts.append((VectorSimilarity(vectors, self.parameters.similarity_metric), weight))
        return parts

    def _features(self, context: StageContext) -> list[tuple[str, float]]:
        parameters = self.parameters
        if parameters.diversity_features is not None:
            return [
                (each.feature_uri, each.weight) for each in parameters.diversity_features if each.weight > 0
            ]
        if parameters.diversity_fields is not None:
            return []
        feature = parameters.diversity_feature_uri or context.searched_feature
        return [] if feature is None else [(feature, 1.0)]


def _by_relevance(documents: Sequence[Document], path: str) -> tuple[list[Document], Numbers]:
    """Most relevant first, ties and documents without a score in the order given; and their relevance, 0..1.

    Without scaling (min-max) the weights would mean nothing: similarities end at 1, scores may not.
    """
    scores = [field_value(document, path) for document in documents]
    known = [score for score in scores if is_number(score)]
    # halves, because the difference of two doubles may be too large for one
    least, greatest = min(known, default=0.0) / 2, max(known, default=0.0) / 2
    spread = greatest - least

    def relevance(score: Any) -> float:
        if not is_number(score):
            return 0.0
        return (score / 2 - least) / spread if spread else 1.0

    order = sorted(range(len(scores)), key=lambda at: (not is_number(scores[at]), -relevance(scores[at])))
    return [documents[at] for at in order], np.array([relevance(scores[at]) for at in order])


def maximal_marginal_relevance(
    relevance: Numbers,
    similarity: Similarity,
    *,
    relevance_weight: float,
    top_k: int,
    check: Callable[[], None],
) -> Iterator[tuple[int, float]]:
    """Choose again and again the greatest λ · relevance - (1 - λ) · likeness, the likeness being the
    similarity to the most similar document chosen before.

    Carbonell and Goldstein 1998, "The use of MMR, diversity-based reranking for reordering documents and
    producing summaries". For the first choice it is 0. Ties go to the lower index.

    Yields:
        (index, that value when it was chosen), `top_k` times or until all are chosen.
    """
    likeness = np.zeros(len(relevance))
    chosen = np.zeros(len(relevance), dtype=bool)
    for step in range(min(top_k, len(relevance))):
        check()
        value = relevance_weight * relevance - (1.0 - relevance_weight) * likeness
        best = int(np.argmax(np.where(chosen, -np.inf, value)))
        yield best, float(value[best])
        chosen[best] = True
        similar = similarity.to(best)
        likeness = similar if step == 0 else np.maximum(likeness, similar)
