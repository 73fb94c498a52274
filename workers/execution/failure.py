"""How a run ends early."""

from __future__ import annotations


class StageFailed(Exception):
    """A stage ended the execution; the message is the sentence that the record shows."""
