"""Secrets at rest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.errors import Unavailable
from shared.vault import Vault


def test_only_the_key_file_opens_what_was_sealed(tmp_path: Path) -> None:
    token = Vault(tmp_path / "a").seal("sécret")
    assert "cret" not in token
    assert Vault(tmp_path / "a").unseal(token) == "sécret"
    with pytest.raises(Unavailable, match="secrets_key"):
        Vault(tmp_path / "b").unseal(token)


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    Vault(tmp_path).seal("x")
    [file] = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda _: Vault(tmp_path / "new").seal("x"), range(32)))
    assert {Vault(tmp_path / "new").unseal(token) for token in tokens} == {"x"}
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_a_damaged_key_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "secrets_key").write_text("short")
    with pytest.raises(Unavailable, match="secrets_key"):
        Vault(tmp_path).seal("x")
