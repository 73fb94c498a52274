"""What a template can see: four namespaces of data, secrets where they are given, and a stage's own names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

# Every spelling, upper-cased, and the name it stands for. Names are matched without regard to case.
NAMESPACES = {
    "INPUT": "INPUT",
    "INPUTS": "INPUT",
    "DOC": "DOC",
    "CONTEXT": "CONTEXT",
    "STAGE": "STAGE",
    "SECRET": "SECRET",
    "SECRETS": "SECRET",
}


@dataclass(frozen=True)
class Scope:
    """The data of one rendering; None means that the namespace is not available here.

    `names` are bare names that a stage adds itself, e.g. {"DOCUMENTS": "…"} for a prompt.
    """

    inputs: Mapping[str, Any] | None = None
    document: Mapping[str, Any] | None = None
    context: Mapping[str, Any] | None = None
    stage: Mapping[str, Any] | None = None
    secrets: Mapping[str, Any] | None = None
    names: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def variables(self) -> dict[str, Any]:
        """The available namespaces by canonical name, and `names`; a namespace wins over a name."""
        namespaces = {
            "INPUT": self.inputs,
            "DOC": self.document,
            "CONTEXT": self.context,
            "STAGE": self.stage,
            "SECRET": self.secrets,
        }
        return {**self.names, **{name: data for name, data in namespaces.items() if data is not None}}
