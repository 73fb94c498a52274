"""The supervisor with small programs of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ops import child
from ops import supervisor as supervisor_module
from ops.child import Program
from ops.console import Console
from ops.errors import GaveUp
from ops.supervisor import STOP_SIGNALS, Supervisor

NewChildren = Callable[[], set[psutil.Process]]
WAIT_S = 20.0
FOR_EVER = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {FOR_EVER}"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(child, "BACKOFF_MAX_S", 0.01)
    monkeypatch.setattr(supervisor_module, "TICK_S", 0.01)


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    handlers = {signum: signal.getsignal(signum) for signum in STOP_SIGNALS}
    supervisor = Supervisor(Console("human"))
    yield supervisor
    supervisor.stop(supervisor.names(), 0)
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


class Screen:
    """Everything printed so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    @property
    def text(self) -> str:
        self._text += self._capsys.readouterr().out
        return self._text

    def count(self, line: str) -> int:
        return self.text.splitlines().count(line)


@pytest.fixture
def screen(capsys: pytest.CaptureFixture[str]) -> Screen:
    return Screen(capsys)


def python(name: str, code: str, **env: str) -> Program:
    return Program(name, (sys.executable, "-S", "-c", code), {**os.environ, **env})


def pid_of(screen: Screen, name: str) -> int:
    return int(screen.text.rsplit(f"{name:<8} | pid ", 1)[1].split()[0])


def test_output_is_forwarded_line_by_line_with_the_last_one_unfinished(
    supervisor: Supervisor, screen: Screen
) -> None:
    supervisor.start(
        python("a", "import sys; print('one'); print('two', file=sys.stderr); print('three', end='')")
    )
    assert supervisor.run(until=lambda: "died" in screen.text, timeout_s=WAIT_S)
    for text in ("one", "two", "three"):
        assert screen.count(f"a        | {text}") == 1


def test_a_killed_process_is_restarted_and_told_loudly(supervisor: Supervisor, screen: Screen) -> None:
    supervisor.start(python("a", f"import os; print('pid', os.getpid()); {FOR_EVER}"))
    assert supervisor.run(until=lambda: screen.count("a        | up") == 1, timeout_s=WAIT_S)
    assert supervisor.pid("a") == pid_of(screen, "a")
    os.kill(pid_of(screen, "a"), signal.SIGKILL)
    assert supervisor.run(until=lambda: screen.count("a        | up") == 2, timeout_s=WAIT_S)
    assert screen.count("kennel   | a died (killed by SIGKILL), restarting in 0.01 s") == 1


def test_what_a_dead_process_left_behind_ends_before_its_restart(
    supervisor: Supervisor, screen: Screen
) -> None:
    leave_one = f"""
        import os, signal, subprocess, sys
        left = subprocess.Popen([sys.executable, "-S", "-c", {STUBBORN!r}])
        print("pid", left.pid, flush=True)
        signal.pause()
    """
    supervisor.start(python("a", textwrap.dedent(leave_one)))
    assert supervisor.run(until=lambda: "| up" in screen.text, timeout_s=WAIT_S)
    left = psutil.Process(pid_of(screen, "a"))
    left.parent().kill()  # type: ignore[union-attr]
    assert supervisor.run(until=lambda: "died" in screen.text, timeout_s=WAIT_S)
    psutil.wait_procs([left], timeout=WAIT_S)
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE


def test_a_process_that_never_starts_is_given_up(supervisor: Supervisor, screen: Screen) -> None:
    supervisor.start(python("a", "raise SystemExit(3)"))
    with pytest.raises(GaveUp, match=r"a died 10 times in a row \(the last time: exit code 3\)"):
        supervisor.run(timeout_s=WAIT_S)
    assert screen.text.count("restarting") == 9


def test_a_program_that_is_not_there_is_told(supervisor: Supervisor, screen: Screen) -> None:
    supervisor.start(Program("a", ("/no/such/program",), {}))
    assert supervisor.run(until=lambda: "died" in screen.text, timeout_s=WAIT_S)
    assert "a        | cannot run /no/such/program: No such file or directory" in screen.text


def test_processes_get_exactly_their_own_environment(supervisor: Supervisor, screen: Screen) -> None:
    supervisor.start(python("a", f"import os; print(os.environ['WHO']); {FOR_EVER}", WHO="me"))
    assert supervisor.run(until=lambda: screen.count("a        | me") == 1, timeout_s=WAIT_S)


def test_stopping_asks_first_and_kills_only_who_does_not_listen(
    supervisor: Supervisor, screen: Screen, new_children: NewChildren
) -> None:
    polite = (
        f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye'))); {FOR_EVER}"
    )
    supervisor.start(python("polite", polite))
    supervisor.start(python("stubborn", STUBBORN))
    assert supervisor.run(until=lambda: screen.text.count("| up") == 2, timeout_s=WAIT_S)
    supervisor.stop(["polite", "stubborn"], timeout_s=1.0)
    assert screen.count("polite   | bye") == 1
    assert screen.count("kennel   | stubborn has not ended, killing it") == 1
    assert "polite has not" not in screen.text
    assert not new_children()


def test_a_signal_ends_the_run_and_a_second_ctrl_c_does_not_wait(
    supervisor: Supervisor, screen: Screen, new_children: NewChildren, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "SECOND_SIGNAL_S", 0)
    supervisor.handle_signals()
    supervisor.start(python("stubborn", STUBBORN))
    assert supervisor.run(until=lambda: "| up" in screen.text, timeout_s=WAIT_S)
    os.kill(os.getpid(), signal.SIGTERM)
    assert not supervisor.run()
    assert supervisor.is_stopping
    os.kill(os.getpid(), signal.SIGINT)
    supervisor.stop(["stubborn"], timeout_s=3600)
    assert supervisor.is_forced
    assert not new_children()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_children_do_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    code = f"""
        import sys
        from ops.child import Program
        from ops.console import Console
        from ops.supervisor import Supervisor
        supervisor = Supervisor(Console("human"))
        supervisor.start(Program("a", (sys.executable, "-S", "-c", {FOR_EVER!r}), {{}}))
        supervisor.run()
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        assert parent.stdout.readline() == "a        | up\n"
        (tethered,) = psutil.Process(parent.pid).children()
        parent.kill()
        parent.wait(WAIT_S)
    gone, alive = psutil.wait_procs([tethered], timeout=WAIT_S)
    assert (len(gone), alive) == (1, [])
