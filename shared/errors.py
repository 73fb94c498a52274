"""Every domain error of Kennel. No HTTP words here: api/errors.py maps the branches to statuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict


class FieldError(TypedDict):
    """One failing place of a request.

    `loc` is the path from the body's root, e.g. ["stages", 0, "config", "parameters", "top_k"].
    """

    loc: list[str | int]
    msg: str
    type: str
    input: NotRequired[Any]


class KennelError(Exception):
    """Base of all domain errors.

    The message says what was wrong, with which value, and what to do next.
    """

    code = "internal"
    retryable = False

    def __init__(
        self, message: str, *, code: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details or {}
        if code is not None:
            self.code = code


class BadRequest(KennelError):
    """The request is malformed: not JSON, a bad cursor, no namespace named."""

    code = "bad_request"


class InvalidInput(KennelError):
    """The request is well-formed but its values are not acceptable; `errors` names each place."""

    code = "invalid_input"

    def __init__(
        self,
        message: str,
        *,
        errors: Sequence[FieldError] = (),
        code: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code, details={**(details or {}), "validation_errors": list(errors)})
        self.errors = list(errors)

    @classmethod
    def at(
        cls, loc: Sequence[str | int], msg: str, *, type_: str = "value_error", **extra: Any
    ) -> InvalidInput:
        """An error at one place; the message repeats the place in words."""
        error: FieldError = {"loc": list(loc), "msg": msg, "type": type_}
        if "value" in extra:
            error["input"] = extra["value"]
        return cls(f"{dotted(loc)}: {msg}", errors=[error])

    def moved(self, *prefix: str | int, drop: int = 0) -> InvalidInput:
        """The same error, its places without their first `drop` parts and below `prefix`."""
        errors = [error.copy() for error in self.errors]
        for error in errors:
            error["loc"] = [*prefix, *error["loc"][drop:]]
        text = "; ".join(f"{dotted(error['loc'])}: {error['msg']}" for error in errors)
        return InvalidInput(text or self.message, errors=errors)


class Unauthorized(KennelError):
    """The key is missing, wrong, revoked or expired."""

    code = "unauthorized"


class Forbidden(KennelError):
    """The key is valid but lacks the permission."""

    code = "forbidden"


class NotFound(KennelError):
    """No such resource in this namespace; a resource of another namespace looks the same."""

    code = "not_found"


class Conflict(KennelError):
    """The name is taken, or the state does not allow the change."""

    code = "conflict"


class Gone(KennelError):
    """It existed and its retention has ended; `details` is the tombstone."""

    code = "gone"


class TooLarge(KennelError):
    """The body or result is over its limit."""

    code = "too_large"


class LimitExceeded(KennelError):
    """A queue or concurrency limit is reached; retry after `details["retry_after_seconds"]`."""

    code = "limit_exceeded"
    retryable = True


class Unavailable(KennelError):
    """A service Kennel needs is away, and nothing was stored."""

    code = "unavailable"
    retryable = True


class EmbeddingRefused(KennelError):
    """The embeddings endpoint refuses the request or answers nonsense; only other settings or texts help."""

    code = "embedding_refused"


class EmbeddingUnusable(EmbeddingRefused):
    """The endpoint, as it is set up, refuses whatever it is asked: a wrong key, address or model."""

    code = "embedding_unusable"


class OutcomeUnknown(KennelError):
    """The connection broke after a write was sent: it may or may not have happened.

    Not retryable without looking: `details["execution_id"]` tells which execution to poll.
    """

    code = "outcome_unknown"


class StageError(KennelError):
    """A stage could not do its work; the runner adds the stage's name and index."""

    code = "stage_failed"


class TransientError(KennelError):
    """A service that a stage needs is away or busy; the execution tries again later.

    `details["retry_after_seconds"]` says when, if the service did.
    """

    code = "transient"
    retryable = True


class BudgetExceeded(KennelError):
    """An execution went over `max_credits` or `max_time_ms`; the message names the limit."""

    code = "budget_exceeded"


class OutOfTime(BudgetExceeded):
    """It went over `max_time_ms`."""

    code = "out_of_time"


def raise_invalid(errors: Sequence[FieldError]) -> None:
    """Raise InvalidInput if there are errors: the first in words, all of them in the details."""
    if errors:
        first = InvalidInput.at(errors[0]["loc"], errors[0]["msg"]).message
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise InvalidInput(first + more, errors=errors)


def dotted(loc: Sequence[str | int]) -> str:
    """The place in words: ["stages", 0, "config"] -> "stages[0].config"."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text or "body"
