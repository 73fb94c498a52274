from __future__ import annotations

import pytest

from ops.child import Child, Program, describe_exit


@pytest.mark.parametrize(
    ("returncode", "words"), [(3, "exit code 3"), (-9, "killed by SIGKILL"), (-99, "killed by signal 99")]
)
def test_an_end_is_told_in_words(returncode: int, words: str) -> None:
    assert describe_exit(returncode) == words


def test_backoff_doubles_from_half_a_second_to_fifteen() -> None:
    child = Child(Program("x", ("true",), {}))
    waits_s = []
    for failures in range(1, 9):
        child.failures = failures
        waits_s.append(child.backoff_s)
    assert waits_s == [0.5, 1, 2, 4, 8, 15, 15, 15]
