"""Filters and orders: one meaning (evaluate.py, sort.py), and compilers to engines that agree with it."""

from shared.filters.ast import And, Condition, Filter, Not, Or
from shared.filters.dynamic import has_dynamic, substitute_dynamic
from shared.filters.evaluate import compile_predicate, compile_record_predicate
from shared.filters.parse import check_unrendered, parse_filter
from shared.filters.paths import MISSING, field_value, resolve, validate_path
from shared.filters.sort import SortKey, ranked, sort_documents
from shared.filters.values import is_number, number

__all__ = [
    "MISSING",
    "And",
    "Condition",
    "Filter",
    "Not",
    "Or",
    "SortKey",
    "check_unrendered",
    "compile_predicate",
    "compile_record_predicate",
    "field_value",
    "has_dynamic",
    "is_number",
    "number",
    "parse_filter",
    "ranked",
    "resolve",
    "sort_documents",
    "substitute_dynamic",
    "validate_path",
]
