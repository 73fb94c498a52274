"""The data directory's files: secrets, modes, the lock."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ops.data_dir import DataDir, keep_secret, write_private
from ops.errors import CannotStart


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_directory_in_use_is_refused_with_the_pid_of_its_user(tmp_path: Path) -> None:
    with (
        DataDir(tmp_path).locked(),
        pytest.raises(CannotStart, match=r"in use by another Kennel \(pid \d+\)"),
        DataDir(tmp_path).locked(),
    ):
        pass


def test_the_lock_is_free_after_use_even_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), DataDir(tmp_path).locked():
        raise RuntimeError
    with DataDir(tmp_path).locked():
        pass


def test_a_directory_that_cannot_be_made_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(CannotStart, match="--data-dir or KENNEL_DATA_DIR"),
        DataDir(tmp_path / "file").locked(),
    ):
        pass


def test_only_the_owner_can_read_directory_and_secrets(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path / "new")
    with data_dir.locked():
        keep_secret(data_dir.api_key_file, lambda: "sk_1")
    assert mode(data_dir.path) == 0o700
    assert mode(data_dir.api_key_file) == 0o600


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    assert keep_secret(file, lambda: "first") == "first"
    assert keep_secret(file, lambda: "second") == "first"


def test_an_empty_secret_file_is_filled_and_an_open_one_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("\n")
    assert keep_secret(file, lambda: "made") == "made"
    file.chmod(0o644)
    assert keep_secret(file, lambda: "other") == "made"
    assert mode(file) == 0o600


def test_writing_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    write_private(file, "one")
    write_private(file, "two")
    assert file.read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
