from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from typer.testing import CliRunner

from ops import cli
from ops.redis_probe import connect
from shared import ids, keys
from shared.clock import iso, now_ms, utc_now_iso
from shared.errors import Conflict, InvalidInput, NotFound
from shared.models.api_key import LOCAL_USER, ApiKey, KeyRecord, edited, key_hash, new_key, revoked
from shared.redis_sync import fcall, text
from shared.stores import key_steps
from shared.stores.api_keys import create_key, ensure_key, list_keys, revoke_key, rotate_key, run


def stored(redis: Redis, secret: str) -> KeyRecord | None:
    """What the API would find for a secret."""
    raw = redis.get(keys.api_key(key_hash(secret)))
    return KeyRecord.model_validate_json(str(raw)) if raw else None


def test_a_key_is_found_by_its_hash_and_the_secret_is_stored_nowhere(redis: Redis) -> None:
    secret, record = create_key(redis, "mine", default_wait_s=20, namespaces=["ns_1"], permissions=["read"])
    assert stored(redis, secret) == record
    assert (record.default_wait_s, record.namespaces, record.permissions) == (20, ("ns_1",), ("read",))
    assert record.key_prefix == secret[:8]
    everything = [redis.get(keys.api_key(key_hash(secret))), redis.hgetall(keys.API_KEYS)]
    assert secret not in str(everything)


def test_a_name_is_taken_once_even_by_many_at_a_time(redis: Redis, redis_url: str) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(16)

    def create() -> None:
        with connect(redis_url) as own:
            start.wait()
            try:
                outcomes.append(create_key(own, "mine")[0])
            except Conflict:
                outcomes.append("conflict")

    threads = [threading.Thread(target=create) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("conflict") == 15
    assert len(redis.keys("kennel:key:*")) == 1


def test_a_revoked_key_is_no_longer_valid_and_its_name_is_free(redis: Redis) -> None:
    secret, _ = create_key(redis, "mine")
    assert revoke_key(redis, "mine").status == "revoked"
    found = stored(redis, secret)
    assert found is not None
    assert not found.is_valid(utc_now_iso())
    second, _ = create_key(redis, "mine")
    assert stored(redis, secret) is None
    assert [record.status for record in list_keys(redis)] == ["active"]
    assert second != secret


def test_revoking_what_does_not_exist_or_what_kennel_needs_is_refused(redis: Redis) -> None:
    ensure_key(redis, ids.api_key())
    with pytest.raises(NotFound, match="nobody"):
        revoke_key(redis, "nobody")
    with pytest.raises(Conflict, match="KENNEL_API_KEY"):
        revoke_key(redis, "admin-key")


def test_ensuring_the_bootstrap_key_again_changes_nothing(redis: Redis) -> None:
    secret = ids.api_key()
    first = ensure_key(redis, secret)
    assert ensure_key(redis, secret) == first
    assert list_keys(redis) == [first]


def test_another_bootstrap_key_replaces_the_first(redis: Redis) -> None:
    old, new = ids.api_key(), ids.api_key()
    ensure_key(redis, old)
    ensure_key(redis, new)
    assert stored(redis, old) is None
    assert [record.key_prefix for record in list_keys(redis)] == [new[:8]]


def _rename(redis: Redis, name: str) -> None:
    run(redis, key_steps.change(name, lambda key: edited(key, name="renamed")))


def _replace(redis: Redis, name: str) -> None:
    revoke_key(redis, name)
    create_key(redis, name)


def _rename_and_rotate(redis: Redis, name: str) -> None:
    _rename(redis, name)
    rotate_key(redis, "renamed")


@pytest.mark.parametrize("change", [rotate_key, revoke_key, _rename, _replace, _rename_and_rotate])
def test_a_start_undoes_no_change_of_a_key(redis: Redis, change: Callable[[Redis, str], object]) -> None:
    secret = ids.api_key()
    ensure_key(redis, secret, "client", default_wait_s=20)
    change(redis, "client")
    changed, found = list_keys(redis), stored(redis, secret)
    ensure_key(redis, secret, "client", default_wait_s=20)
    assert (list_keys(redis), stored(redis, secret)) == (changed, found)
    assert (found is not None and found.is_valid(utc_now_iso())) == (change is _rename)


def test_another_secret_of_the_same_name_is_taken_at_a_start(redis: Redis) -> None:
    ensure_key(redis, ids.api_key(), "client")
    revoke_key(redis, "client")
    secret = ids.api_key()
    assert ensure_key(redis, secret, "client") == stored(redis, secret)


def test_the_bootstrap_key_can_be_what_it_was_before(redis: Redis) -> None:
    old, new = ids.api_key(), ids.api_key()
    for secret in (old, new, old):
        assert ensure_key(redis, secret) is not None
    assert stored(redis, new) is None
    assert stored(redis, old) is not None


def test_a_secret_belongs_to_one_key(redis: Redis) -> None:
    secret, record = create_key(redis, "mine")
    with pytest.raises(Conflict, match="another API key"):
        ensure_key(redis, secret)
    with pytest.raises(Conflict, match="another API key"):
        create_key(redis, "yours", secret=secret)
    assert list_keys(redis) == [record]


def test_a_step_that_is_asked_again_changes_nothing_more(redis: Redis) -> None:
    """As the link does, when a connection breaks before the answer came."""
    _, key = new_key("mine")
    steps = key_steps.create(key)
    find = next(steps)
    swap = steps.send(fcall(redis, find.function, *find.arguments))
    for _ in range(2):
        assert text(fcall(redis, swap.function, *swap.arguments)) == "swapped"
    assert list_keys(redis) == [key.record]


def test_a_change_that_comes_too_late_is_decided_again(redis: Redis) -> None:
    create_key(redis, "mine")
    seen: list[str] = []

    def edit(key: ApiKey) -> ApiKey:
        if not seen:
            revoke_key(redis, "mine")  # somebody is faster
        seen.append(key.record.status)
        return revoked(key, by="late@example.com")

    run(redis, key_steps.change("mine", edit))
    assert seen == ["active", "revoked"]
    assert list_keys(redis)[0].revoked_by == LOCAL_USER


def test_a_record_of_an_older_version_can_be_read_and_changed(redis: Redis) -> None:
    secret, record = create_key(redis, "mine")
    newer = {"description", "user_id", "created_by", "revoked_at", "revoked_by"}
    redis.set(keys.api_key(key_hash(secret)), record.model_dump_json(exclude=newer))
    assert list_keys(redis) == [record]
    assert revoke_key(redis, "mine").status == "revoked"


def test_a_key_expires(redis: Redis) -> None:
    expires_at = datetime.now(UTC) + timedelta(days=1)
    _, record = create_key(redis, "mine", expires_at=expires_at)
    assert record.is_valid(utc_now_iso())
    assert not record.is_valid(iso(now_ms() + 25 * 3600 * 1000))


@pytest.mark.parametrize(
    "secret", ["sk_short", "0123456789abcdefghij", "sk_with space 0123456789", "sk_" + "x" * 201]
)
def test_a_weak_or_odd_secret_is_refused_without_repeating_it(redis: Redis, secret: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        ensure_key(redis, secret)
    assert secret not in str(caught.value.details) + str(caught.value)


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"name": "a\nb"}, {"default_wait_s": 26}, {"permissions": ["root"]}]
)
def test_bad_values_are_refused_and_store_nothing(redis: Redis, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        create_key(redis, **{"name": "mine", **wrong})  # type: ignore[arg-type]
    assert redis.keys("*") == []


def test_the_command_line_creates_lists_and_revokes(
    redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KENNEL_REDIS_URL", redis_url)
    runner = CliRunner()
    created = runner.invoke(
        cli.app, ["keys", "create", "for the client", "--default-wait", "20", "--user", "a@b.c"]
    )
    secret = created.stdout.strip()
    assert stored(redis, secret) is not None
    listed = runner.invoke(cli.app, ["keys", "list"], env={"COLUMNS": "200"}).output
    assert "for the client" in listed
    assert "20 s" in listed
    assert "a@b.c" in listed
    assert secret not in listed
    rotated = runner.invoke(cli.app, ["keys", "rotate", "for the client"])
    assert stored(redis, secret) is None
    assert stored(redis, rotated.stdout.strip()) is not None
    assert runner.invoke(cli.app, ["keys", "revoke", "for the client"]).exit_code == 0
    again = runner.invoke(cli.app, ["keys", "revoke", "nobody"])
    assert (again.exit_code, len(again.output.splitlines())) == (2, 1)
