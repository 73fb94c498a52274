"""What a batch remembers, wherever its file was cut off."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import NotConfigured
from client.batch.state import BatchIdentity, BatchState, Finished, open_state

IDENTITY = BatchIdentity("batch", "books", "ns", "/results")
RESULT_BYTES = 10


@contextmanager
def opened(path: Path, results_size: int | None = 0, *, restart: bool = False) -> Iterator[BatchState]:
    with open_state(path, IDENTITY, results_size, restart=restart) as state:
        yield state


def finished(line: int, *, failed: bool = False) -> Finished:
    status = "failed" if failed else "completed"
    return Finished(line, f"content {line}", status, failed, f"exec_{line}", line * RESULT_BYTES)


def filled(path: Path, lines: int) -> bytes:
    with opened(path) as state:
        for line in range(1, lines + 1):
            state.record(finished(line))
    return path.read_bytes()


def known(state: BatchState, lines: int) -> list[int]:
    return [line for line in range(1, lines + 1) if state.is_finished(line, f"content {line}")]


@given(st.data())
def test_cut_off_anywhere_it_knows_the_whole_lines_before(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "state"
        raw = filled(path, 5)
        header_end = raw.index(b"\n") + 1
        cut = data.draw(st.integers(header_end, len(raw)))
        path.write_bytes(raw[:cut])
        whole = raw[:cut].count(b"\n") - 1
        with opened(path, 5 * RESULT_BYTES) as state:
            assert known(state, 5) == list(range(1, whole + 1))
            assert state.results_end == whole * RESULT_BYTES
            state.record(finished(6))
        with opened(path, 6 * RESULT_BYTES) as state:
            assert known(state, 6) == [*range(1, whole + 1), 6]


def test_what_has_lost_its_result_is_not_finished(tmp_path: Path) -> None:
    filled(tmp_path / "state", 5)
    with opened(tmp_path / "state", 3 * RESULT_BYTES + 1) as state:
        assert known(state, 5) == [1, 2, 3]
        assert state.results_end == 3 * RESULT_BYTES
    assert (tmp_path / "state").read_bytes().count(b"\n") == 4


def test_without_a_results_file_everything_recorded_is_finished(tmp_path: Path) -> None:
    filled(tmp_path / "state", 3)
    with opened(tmp_path / "state", None) as state:
        assert known(state, 3) == [1, 2, 3]


def test_a_line_with_another_content_is_not_finished(tmp_path: Path) -> None:
    filled(tmp_path / "state", 1)
    with opened(tmp_path / "state", RESULT_BYTES) as state:
        assert not state.is_finished(1, "another content")


def test_failures_are_counted_until_it_completes(tmp_path: Path) -> None:
    with opened(tmp_path / "state") as state:
        state.record(finished(1, failed=True))
        state.record(finished(1, failed=True))
        state.record(finished(2))
    with opened(tmp_path / "state", 2 * RESULT_BYTES) as state:
        assert (state.failures(1), state.failures(2)) == (2, 0)
        assert known(state, 2) == [1, 2]
        state.forget_failed()
        assert known(state, 2) == [2]
        state.record(finished(1))
        assert (state.failures(1), known(state, 2)) == (0, [1, 2])


def test_two_cannot_use_it_at_the_same_time(tmp_path: Path) -> None:
    with (
        opened(tmp_path / "state"),
        pytest.raises(NotConfigured, match="another `kennel batch` is using"),
        opened(tmp_path / "state"),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "other"), [("retriever", "films"), ("namespace", None), ("results", "/elsewhere")]
)
def test_another_batch_is_refused(tmp_path: Path, name: str, other: str | None) -> None:
    filled(tmp_path / "state", 1)
    changed = replace(IDENTITY, **{name: other})
    with (
        pytest.raises(NotConfigured, match=f"whose {name} is .*--restart"),
        open_state(tmp_path / "state", changed, 10, restart=False),
    ):
        pass


def test_a_batch_that_goes_on_keeps_its_id(tmp_path: Path) -> None:
    filled(tmp_path / "state", 1)
    with open_state(tmp_path / "state", replace(IDENTITY, batch_id="new"), 10, restart=False) as state:
        assert state.identity.batch_id == "batch"
    with open_state(tmp_path / "state", replace(IDENTITY, batch_id="new"), 10, restart=True) as state:
        assert state.identity.batch_id == "new"
        assert len(state) == 0


def test_results_of_an_unknown_batch_are_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="move the results away"), opened(tmp_path / "state", 1):
        pass
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("content", [b"something else\n", b"[1]\n", b'{"a": 1}\n'])
def test_a_file_that_is_no_state_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(NotConfigured, match="is not the state of a batch"), opened(tmp_path / "state"):
        pass
    assert (tmp_path / "state").read_bytes() == content
