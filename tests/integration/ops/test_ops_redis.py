"""What `kennel up` asks of a Redis server before it depends on it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis

from ops.data_dir import DataDir
from ops.errors import CannotStart
from ops.ports import claim_port, free_port
from ops.redis_probe import check_external
from ops.redis_server import embedded_redis, find_server


@pytest.fixture(autouse=True)
def restored_settings(redis: Redis) -> Iterator[None]:
    yield
    redis.config_set("maxmemory-policy", "noeviction")
    redis.config_set("appendonly", "yes")
    redis.acl_deluser("guest")


def refusal(url: str) -> str:
    """The one line that `kennel up` ends with."""
    with pytest.raises(CannotStart) as caught:
        check_external(url)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def as_guest(redis_url: str, redis: Redis, *rules: str) -> str:
    """The URL of a user with the given rights only."""
    redis.execute_command("ACL", "SETUSER", "guest", "on", ">guestpass", "~*", "&*", "+@all", *rules)
    return f"redis://guest:guestpass@127.0.0.1:{urlsplit(redis_url).port}/0"


def test_the_embedded_server_passes_its_own_check(redis_url: str) -> None:
    assert check_external(redis_url) == []


def test_an_evicting_server_is_refused_with_the_command_that_repairs_it(redis: Redis, redis_url: str) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")
    assert "CONFIG SET maxmemory-policy noeviction" in refusal(redis_url)


def test_a_server_without_append_only_file_is_warned_about(redis: Redis, redis_url: str) -> None:
    redis.config_set("appendonly", "no")
    (warning,) = check_external(redis_url)
    assert "CONFIG SET appendonly yes" in warning


def test_a_server_that_does_not_tell_its_settings_is_warned_about(redis: Redis, redis_url: str) -> None:
    (warning,) = check_external(as_guest(redis_url, redis, "-info"))
    assert "make sure that maxmemory-policy is noeviction" in warning


def test_a_user_that_may_not_list_functions_passes(redis: Redis, redis_url: str) -> None:
    assert check_external(as_guest(redis_url, redis, "-function|list")) == []


def test_a_wrong_password_is_told_without_showing_it(redis_url: str) -> None:
    message = refusal(f"redis://:wrongpass@127.0.0.1:{urlsplit(redis_url).port}/0")
    assert "refused the user or password" in message
    assert "wrongpass" not in message


def test_an_unreachable_server_is_told_with_its_address() -> None:
    message = refusal(f"redis://:p4ss@127.0.0.1:{free_port('127.0.0.1')}/0")
    assert "cannot be reached" in message
    assert "p4ss" not in message


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "http://127.0.0.1", "redis://127.0.0.1:port/0"])
def test_a_bad_url_is_told(url: str) -> None:
    assert "KENNEL_REDIS_URL" in refusal(url)


def test_port_and_password_stay_the_same_while_the_port_is_free(tmp_path: Path) -> None:
    with DataDir(tmp_path).locked() as lock_fd:
        _, first = embedded_redis(DataDir(tmp_path), lock_fd)
        _, second = embedded_redis(DataDir(tmp_path), lock_fd)
    assert first == second


def test_a_taken_port_is_replaced_and_the_password_kept(tmp_path: Path, redis_url: str) -> None:
    DataDir(tmp_path).redis_url_file.write_text(f"redis://:secret@127.0.0.1:{urlsplit(redis_url).port}/0\n")
    with DataDir(tmp_path).locked() as lock_fd:
        program, url = embedded_redis(DataDir(tmp_path), lock_fd)
    assert urlsplit(url).port != urlsplit(redis_url).port
    assert urlsplit(url).password == "secret"
    assert "secret" not in repr(program)
    assert stat.S_IMODE((tmp_path / "redis" / "redis.conf").stat().st_mode) == 0o600


def test_a_taken_port_is_refused_with_the_option_that_changes_it(redis_url: str) -> None:
    port = urlsplit(redis_url).port or 0
    with pytest.raises(CannotStart, match=r"Flower is in use.*--flower-port or KENNEL_FLOWER_PORT"):
        claim_port("Flower", "--flower-port", "127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(CannotStart, match="--host"):
        claim_port("API", "--port", "192.0.2.1", 0)


@pytest.mark.parametrize(
    ("says", "is_taken"),
    [("Redis server v=7.2.4 sha=0", True), ("Redis server v=6.2.1 sha=0", False), ("nonsense", False)],
)
def test_a_server_on_path_is_taken_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, is_taken: bool
) -> None:
    installed = tmp_path / "redis-server"
    installed.write_text(f"#!/bin/sh\necho '{says}'\n")
    installed.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert (find_server() == installed) is is_taken
