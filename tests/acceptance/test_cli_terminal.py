"""What a person sees: progress that is redrawn, on a pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import threading

import httpx

from tests.acceptance.commands import Run
from tests.contract.scenes import retriever, search, unique
from tests.stack import Stack, gate
from tests.waiting import wait_until


class Terminal:
    """A program on a terminal of 100 columns, and everything that it wrote so far."""

    def __init__(self, command: Run, *arguments: str) -> None:
        self._written = bytearray()
        outside, inside = pty.openpty()
        environment = {**command.environment, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        self.process = subprocess.Popen(
            command.command(*arguments),
            cwd=command.directory,
            env=environment,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        )
        os.close(inside)
        self._reader = threading.Thread(target=self._read, args=(outside,), daemon=True)
        self._reader.start()

    def _read(self, outside: int) -> None:
        with contextlib.suppress(OSError):  # the program closed its side
            while read := os.read(outside, 65_536):
                self._written += read
        os.close(outside)

    @property
    def text(self) -> str:
        return self._written.decode(errors="replace")

    def shows(self, text: str) -> None:
        wait_until(lambda: text in self.text, 20, f"{text!r} on the terminal")

    def end(self) -> int:
        """Its exit code, when all that it wrote is read."""
        code = self.process.wait(30)
        self._reader.join(10)
        return code


def test_poll_shows_each_stage_as_it_runs(command: Run, service: Stack, client: httpx.Client) -> None:
    first, second = unique("first"), unique("second")
    name = retriever(client, gate(first), search(), gate(second))
    terminal = Terminal(command, "submit", name, "query=trains", "--wait")
    terminal.shows(first)
    terminal.shows("2 to come")
    assert "✓" not in terminal.text
    service.open(first)
    terminal.shows(second)
    assert "✓" in terminal.text
    service.open(second)
    assert terminal.end() == 0
    final = terminal.text.rpartition("✓")[0]
    assert final.count("✓") >= 2
    assert "completed" in terminal.text
    assert "\x1b[" in terminal.text


def test_batch_shows_a_bar_with_pace_and_failures(command: Run, client: httpx.Client) -> None:
    name = retriever(client, search(), input_schema={"query": {"type": "string", "required": True}})
    lines = "".join('{"query": "trains"}\n' if number % 10 else "{}\n" for number in range(60))
    (command.directory / "lines.jsonl").write_text(lines)
    terminal = Terminal(command, "batch", "lines.jsonl", "-r", name)
    assert terminal.end() == 1
    for part in ("60/60", "━", "/s", "left", "6 failed", "54 completed"):
        assert part in terminal.text
    assert "\x1b[?25h" in terminal.text  # the cursor is back
