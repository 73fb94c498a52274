"""How much a template may do. Work is counted in steps, not timed: the same template always ends alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import TemplateError, Undefined

SOURCE_MAX_BYTES = 100_000
TAGS_MAX = 2_000  # {{ and {%
NODES_MAX = 5_000  # syntax nodes of one template; compiling that many takes well under a second
NESTING_MAX = 60  # far below Python's recursion limit, which compiling would hit at several hundred
STEPS_MAX = 1_000_000  # one rendering, all its strings together; some tenths of a second
VALUE_MAX_BYTES = 1_000_000  # of the text, and of each value made on the way
ITEMS_MAX = 100_000  # of one range or split
INTEGER_MAX = 2**63 - 1  # what JSON carries to every engine

_CALL_STEPS = 5
_CHARACTERS_PER_STEP = 16
_SCALARS = frozenset((int, float, bool, type(None)))


class Refused(TemplateError):
    """The template asks for something that is not allowed; the message is a reason fit for the author."""


class Meter:
    """Counts the steps of one rendering and weighs the values it makes."""

    __slots__ = ("met_absent", "steps_left")

    def __init__(self) -> None:
        self.steps_left = STEPS_MAX
        self.met_absent = False  # whether a template's value was, or printed, something absent or null

    def charge(self, steps: int) -> None:
        self.steps_left -= steps
        if self.steps_left < 0:
            raise Refused(f"it does too much work (more than {STEPS_MAX:,} steps); loop over less")

    def call(self) -> None:
        self.charge(_CALL_STEPS)

    def read(self, value: Any) -> None:
        """Charge for looking at all of `value`."""
        self._measure(value, None)

    def made(self, value: Any) -> Any:
        """Charge for a value the template made. Raises Refused when it is over VALUE_MAX_BYTES.

        Because nothing larger is ever made, no list of lists of lists can grow out of proportion.
        """
        self._measure(value, VALUE_MAX_BYTES)
        return value

    def _measure(self, value: Any, max_bytes: int | None) -> None:
        size, pending = 0, [value]
        while pending:
            item = pending.pop()
            if isinstance(item, str):
                size += utf8_length(item)
                self.charge(1 + len(item) // _CHARACTERS_PER_STEP)
            elif type(item) in _SCALARS:
                size += 8
                self.charge(1)
            elif isinstance(item, (list, tuple)):
                self.charge(1 + len(item))
                pending.extend(item)
            elif isinstance(item, Mapping):
                self.charge(1 + 2 * len(item))
                pending.extend(item)
                pending.extend(item.values())
            elif not isinstance(item, Undefined):
                raise Refused(f"a value of type {type(item).__name__} cannot be used here")
            if max_bytes is not None and size > max_bytes:
                raise Refused(f"it makes a value of more than {max_bytes:,} bytes")


def utf8_length(text: str) -> int:
    """Bytes of `text` in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())
