"""The `kennel` command as a program of its own, in the environment that a person would have."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.stack import API_KEY, ROOT, Stack

TIMEOUT_S = 50


class Run:
    """Call it with arguments to run `kennel` in a directory."""

    def __init__(self, stack: Stack, namespace: str, directory: Path) -> None:
        self.directory = directory
        self.environment: Mapping[str, str] = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "KENNEL_URL": stack.base_url,
            "KENNEL_API_KEY": API_KEY,
            "KENNEL_NAMESPACE": namespace,
        }

    def __call__(
        self, *arguments: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.directory,
            env={**self.environment, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "ops.cli", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The program while it runs; nothing of it is shown on a terminal."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
