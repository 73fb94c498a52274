"""Figures about the documents of a collection, by groups, in one pass over them."""

from shared.documents.aggregation.plan import Figure, GroupField, Having, Plan
from shared.documents.aggregation.ranges import Ranges
from shared.documents.aggregation.run import Aggregated, aggregate

__all__ = ["Aggregated", "Figure", "GroupField", "Having", "Plan", "Ranges", "aggregate"]
