"""The cache forgets in time, and never grows over its limit."""

from __future__ import annotations

import pytest

from api.cache import TtlCache


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> TtlCache[str, int]:
    return TtlCache(max_entries=3, ttl_s=1.0, monotonic=clock)


def test_an_entry_ends_with_its_time(cache: TtlCache[str, int], clock: Clock) -> None:
    cache.put("a", 1)
    clock.now_s += 0.999
    assert cache.get("a") == 1
    clock.now_s += 0.001
    assert cache.get("a") is None
    assert len(cache) == 0


def test_reading_does_not_prolong_and_putting_does(cache: TtlCache[str, int], clock: Clock) -> None:
    cache.put("a", 1)
    cache.put("b", 1)
    clock.now_s += 0.6
    assert cache.get("a") == 1
    cache.put("b", 2)
    clock.now_s += 0.6
    assert (cache.get("a"), cache.get("b")) == (None, 2)


def test_a_full_cache_drops_what_was_put_first(cache: TtlCache[str, int]) -> None:
    for name in "abc":
        cache.put(name, 0)
    cache.put("a", 1)
    cache.put("d", 0)
    assert [name for name in "abcd" if cache.get(name) is not None] == ["a", "c", "d"]
    assert len(cache) == 3


def test_forgetting_what_is_not_there_is_no_error(cache: TtlCache[str, int]) -> None:
    cache.put("a", 1)
    cache.forget("a")
    cache.forget("a")
    assert cache.get("a") is None
