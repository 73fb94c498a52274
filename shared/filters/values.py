"""What single values mean to a filter or a sort: kinds, numbers, case.

SQLite must give the same answers, so the rules follow what its JSON functions can tell apart.
"""

from __future__ import annotations

from typing import Any, TypeGuard

_INT64_MIN, _INT64_END = -(2**63), 2**63


def is_number(value: Any) -> TypeGuard[int | float]:
    """True and false are not numbers here, although Python's bool is an int."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(value: int | float) -> int | float:
    """The number as it is compared: integers that do not fit 64 bits are compared as doubles.

    Raises:
        OverflowError: the integer is too large for a double.
    """
    if isinstance(value, int) and not _INT64_MIN <= value < _INT64_END:
        return float(value)
    return value


# The form in which texts are compared when case is ignored: Unicode full case folding. SQLite calls it once a
# row; a Python function around the method would double the cost of the call.
fold = str.casefold


def comparable(text: str, *, case_sensitive: bool) -> str:
    return text if case_sensitive else fold(text)
