"""When a consumer counts as idle, and what is done about it."""

from __future__ import annotations

from workers.idle_watch import Advice, Idleness


def looks(
    idleness: Idleness, *times_s: float, waiting: int = 5, free: int = 2, taken: int = 0
) -> list[Advice]:
    return [idleness.look(at_s, waiting=waiting, free=free, taken=taken) for at_s in times_s]


def test_it_connects_again_once_and_then_exits() -> None:
    assert looks(Idleness(), 0, 2.9, 3, 4, 9.9, 10) == [
        Advice.NOTHING,
        Advice.NOTHING,
        Advice.RECONNECT,
        Advice.NOTHING,
        Advice.NOTHING,
        Advice.EXIT,
    ]


def test_a_message_taken_starts_the_time_anew() -> None:
    idleness = Idleness()
    assert looks(idleness, 0, 2) == [Advice.NOTHING] * 2
    assert looks(idleness, 4, 5, 7.9, 8, taken=1) == [Advice.NOTHING] * 3 + [Advice.RECONNECT]


def test_after_it_has_connected_it_may_do_so_again() -> None:
    idleness = Idleness()
    assert looks(idleness, 0, 3)[-1] is Advice.RECONNECT
    assert looks(idleness, 4, 5, 8, taken=1)[-1] is Advice.RECONNECT


def test_an_empty_queue_and_a_full_worker_are_no_idleness() -> None:
    idleness = Idleness()
    assert looks(idleness, 0, 20, waiting=0) == [Advice.NOTHING] * 2
    assert looks(idleness, 21, 40, free=0) == [Advice.NOTHING] * 2
    assert looks(idleness, 41, 43) == [Advice.NOTHING] * 2


def test_nothing_is_said_of_a_time_without_redis() -> None:
    idleness = Idleness()
    looks(idleness, 0)
    idleness.forget()
    assert looks(idleness, 20) == [Advice.NOTHING]
