"""Which embedding models this installation has. Loads none of them, so that the API can import it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from shared.embeddings.naming import BUILT_IN_NAME, feature_name
from shared.settings import Settings

# What a vector is wanted for, in the contract's words; models that were trained with instructions care.
Task = Literal["retrieval_query", "retrieval_document", "semantic_similarity", "classification", "none"]
TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """A model as collections publish it."""

    name: str  # the last part of its feature URI
    dimensions: int
    description: str

    @property
    def feature_uri(self) -> str:
        return f"mixpeek://text_extractor@v1/{self.name}"


BUILT_IN = EmbeddingModel(
    BUILT_IN_NAME,
    256,
    "WordLlama l2_supercat: means of static word vectors, for English",
)


def embedding_models(settings: Settings) -> dict[str, EmbeddingModel]:
    """Every model by its name; the default is the first."""
    models = [BUILT_IN]
    if settings.embeddings_url:
        models.insert(0, _endpoint_model(settings))
    return {model.name: model for model in models}


def default_model(settings: Settings) -> EmbeddingModel:
    """The model of the endpoint when one is configured, else the built-in one."""
    return next(iter(embedding_models(settings).values()))


def _endpoint_model(settings: Settings) -> EmbeddingModel:
    return EmbeddingModel(
        name=settings.embeddings_name or feature_name(settings.embeddings_model),
        dimensions=settings.embeddings_dimensions,
        description=f"{settings.embeddings_model}, computed by the configured embeddings endpoint",
    )
