"""Fixtures of the acceptance tests: whole stacks of real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import Stack, stack


@pytest.fixture(scope="module")
def kennel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests of a module; they start and stop the workers themselves."""
    directory: Path = tmp_path_factory.mktemp("kennel")
    with stack(directory) as made:
        yield made
