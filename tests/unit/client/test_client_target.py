from __future__ import annotations

from pathlib import Path

import pytest

from client import NotConfigured
from client.target import Target


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KENNEL_URL", "KENNEL_API_KEY", "KENNEL_NAMESPACE", "KENNEL_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8000", "ftp://host", "http://", "http://host:many", "http://h:0", "http://me:secret@host"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(NotConfigured, match="is not an address"):
        Target.of(url, "key", None)


def test_without_a_key_it_says_where_one_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match=str(tmp_path / ".kennel" / "api_key")):
        Target.of(None, None, None)


def test_the_key_of_a_local_kennel_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kennel").mkdir()
    (tmp_path / ".kennel" / "api_key").write_text("sk_here\n")
    assert Target.of("http://localhost:1", None, None).api_key == "sk_here"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "api_key").write_text("sk_elsewhere")
    monkeypatch.setenv("KENNEL_DATA_DIR", str(tmp_path / "elsewhere"))
    assert Target.of(None, None, None).api_key == "sk_elsewhere"


def test_the_key_of_a_local_kennel_is_sent_to_no_other_host(tmp_path: Path) -> None:
    (tmp_path / ".kennel").mkdir()
    (tmp_path / ".kennel" / "api_key").write_text("sk_here")
    with pytest.raises(NotConfigured, match="no API key"):
        Target.of("https://kennel.example.org", None, None)


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KENNEL_URL", "http://of.the.environment:1")
    monkeypatch.setenv("KENNEL_API_KEY", "sk_environment")
    monkeypatch.setenv("KENNEL_NAMESPACE", "environment")
    of_environment = Target.of(None, None, None)
    assert of_environment.origin == "http://of.the.environment:1"
    assert (of_environment.api_key, of_environment.namespace) == ("sk_environment", "environment")
    given = Target.of("http://given:2", "sk_given", "given")
    assert (given.origin, given.api_key, given.namespace) == ("http://given:2", "sk_given", "given")


@pytest.mark.parametrize("url", ["http://host:1/base", "http://host:1/base/", "http://host:1/base/v1"])
def test_a_path_is_kept_and_the_version_is_not(url: str) -> None:
    assert Target.of(url, "key", None).url.path == "/base"
