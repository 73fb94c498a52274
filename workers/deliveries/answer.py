"""What a receiver said to one try."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """`error` is None when it was delivered."""

    error: str | None = None
    status_code: int | None = None
    response: str | None = None
    retry_after_s: float | None = None
    is_gone: bool = False  # the receiver wants no more of these, ever
    is_final: bool = False  # another try could not go better
