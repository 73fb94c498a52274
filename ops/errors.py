"""How `kennel up` ends early. One line each, never a traceback."""

from __future__ import annotations


class CannotStart(Exception):
    """Something on this machine or in the settings is not as it must be; exit code 2."""


class GaveUp(Exception):
    """A process could not be kept running; everything is stopped, exit code 1."""
