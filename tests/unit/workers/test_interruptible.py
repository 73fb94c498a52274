"""An exception from another thread: it ends Python code, and never hits what comes after."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from workers.lease.interruptible import Interrupted, Interruptible


def in_a_thread(work: Callable[[], object]) -> object:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(20)


def test_it_ends_a_loop_that_catches_every_exception() -> None:
    work, begun = Interruptible(), threading.Event()

    def loop() -> str:
        try:
            with work:
                while True:
                    try:
                        begun.set()
                    except Exception:  # as some stages do
                        continue
        except Interrupted:
            return "interrupted"

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(loop)
        assert begun.wait(20)
        assert work.is_running
        work.interrupt()
        assert ended.result(20) == "interrupted"
    assert not work.is_running


def test_it_waits_for_a_call_into_c_to_return() -> None:
    work, begun, gate = Interruptible(), threading.Event(), threading.Lock()
    gate.acquire()

    def call() -> str:
        try:
            with work:
                begun.set()
                gate.acquire()
                return "went on"
        except Interrupted:
            return "interrupted"

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(call)
        assert begun.wait(20)
        work.interrupt()
        assert work.is_running
        gate.release()
        assert ended.result(20) == "interrupted"


def test_after_the_end_nothing_happens() -> None:
    work = Interruptible()

    def pass_through() -> int:
        with work:
            pass
        work.interrupt()
        return sum(range(10_000))

    assert in_a_thread(pass_through) == sum(range(10_000))


def test_one_that_comes_too_late_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's thread runs other executions after this one."""
    work = Interruptible()

    def many() -> tuple[int, int]:
        interrupted = survived = 0
        for _ in range(2_000):
            try:
                with work:
                    work.interrupt()
            except Interrupted:
                interrupted += 1
            survived += 1
        return interrupted, survived

    interrupted, survived = in_a_thread(many)  # type: ignore[misc]
    assert survived == 2_000
    assert interrupted <= 2_000


@pytest.mark.parametrize("interrupt", ["", "work.interrupt()"], ids=["in peace", "too late"])
def test_it_leaves_the_interpreter_as_it_was(interrupt: str) -> None:
    """CPython 3.11 can be left looking for an exception for ever: slow, and endless under a profiler."""
    program = f"""
import contextlib, cProfile
from workers.lease.interruptible import Interrupted, Interruptible
work = Interruptible()
with contextlib.suppress(Interrupted), work:
    {interrupt or "pass"}
with cProfile.Profile():
    print(sum(map(lambda each: each, range(10))))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)
    assert ended.stdout == b"45\n"


@pytest.mark.parametrize("is_main", [True, False])
def test_a_main_thread_owns_its_process(is_main: bool) -> None:
    work = Interruptible()

    def ask() -> bool:
        with work:
            return work.owns_process

    assert (ask() if is_main else in_a_thread(ask)) is is_main
