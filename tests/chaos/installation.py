"""The processes of a run, under Kennel's own supervisor: what dies is started again, as by `kennel up`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import redis

from ops.child import Program
from ops.commands import POOL_CLASS, api_arguments, environment, worker_arguments
from ops.console import Console
from ops.data_dir import DataDir
from ops.ports import free_port
from ops.redis_probe import answers
from ops.redis_server import embedded_redis
from ops.supervisor import Supervisor
from shared import keys
from shared.redis_sync import connect
from shared.settings import Settings
from shared.stores.api_keys import ensure_key
from tests.chaos.clock import Clock
from tests.chaos.plan import Plan
from tests.chaos.proxy import Proxy

API_KEY = "sk_key_of_the_chaos_suite_0123456789"
REDIS, SWEEPER = "redis", "prefork"
_ROOT = Path(__file__).parent.parent.parent
_SITE = Path(__file__).parent / "site"
_HOST = "127.0.0.1"
_APIS = 2
_THREADS = 16
_POOL_CHILDREN = 2
_REDIS_START_S = 20.0
_STOP_S = 8.0


class _Log(Console):
    """All lines of all processes, in a file."""

    def __init__(self, path: Path) -> None:
        super().__init__("human")
        self._path = path

    def _write(self, text: str) -> None:
        with self._lock, self._path.open("a") as file:
            file.write(text + "\n")


class Installation:
    """Redis behind a proxy, two API processes, workers with threads and one with children. See `installed`.

    Only `supervise` must be called from the main thread; everything else from any.
    """

    def __init__(
        self, directory: Path, plan: Plan, redis_program: Program, redis_url: str, proxy: Proxy
    ) -> None:
        self.proxy = proxy
        self.ledger_path = directory / "ledger"
        self.log_path = directory / "log"
        self._redis_program = redis_program
        self.redis_url = redis_url  # of the server itself, past the proxy
        self.thread_workers = [f"worker-{number}" for number in range(1, plan.thread_workers + 1)]
        self.workers = [*self.thread_workers, SWEEPER]
        self.apis = [f"api-{number}" for number in range(1, _APIS + 1)]
        self.api_ports = {name: free_port(_HOST) for name in self.apis}
        self.clocks = {name: Clock(directory / f"clock-{name}") for name in (*self.apis, *self.workers)}
        self._settings = Settings.model_validate(
            {
                "redis_url": redis_url.replace(f":{urlsplit(redis_url).port}", f":{proxy.port}"),
                "data_dir": directory / "data",
                "task_events": False,
                **plan.settings,
            }
        )
        self._supervisor = Supervisor(_Log(self.log_path))

    # Started and stopped

    def start(self) -> None:
        """Redis first; returns when everything else is on its way."""
        self._supervisor.start(self._redis_program)
        started = self._supervisor.run(until=lambda: answers(self.redis_url), timeout_s=_REDIS_START_S)
        assert started, f"Redis did not start: {self.log_path.read_text()[-2000:]}"
        with self.server() as server:
            ensure_key(server, API_KEY)
        for program in self._programs():
            self._supervisor.start(program)

    def supervise(self, until: Callable[[], bool]) -> None:
        """Restart what dies. Raises GaveUp when a process keeps dying."""
        self._supervisor.run(until)

    def stop(self) -> None:
        names = self._supervisor.names()
        self._supervisor.stop([name for name in names if name != REDIS], _STOP_S)
        self._supervisor.stop([name for name in names if name == REDIS], _STOP_S)

    def _programs(self) -> Iterator[Program]:
        env = {
            **environment(self._settings),
            "PYTHONPATH": f"{_ROOT}{os.pathsep}{_SITE}",
            "CELERY_CUSTOM_WORKER_POOL": POOL_CLASS,
            "CHAOS_LEDGER": str(self.ledger_path),
        }
        for name in self.apis:
            arguments = api_arguments(_HOST, self.api_ports[name])
            own = {**self.clocks[name].environment, "KENNEL_API_KEY": API_KEY}
            yield Program(name, (sys.executable, *arguments), env | own)
        for name in self.workers:
            pool, size = ("prefork", _POOL_CHILDREN) if name == SWEEPER else ("threads", _THREADS)
            arguments = worker_arguments(pool, size, f"{name}@%h")  # type: ignore[arg-type]
            yield Program(name, (sys.executable, *arguments), env | self.clocks[name].environment)

    # Seen and struck

    @contextmanager
    def server(self) -> Iterator[redis.Redis]:
        """A connection to the server itself, past the proxy."""
        with connect(self.redis_url) as client:
            yield client

    def is_complete(self) -> bool:
        """Whether every worker is online."""
        with self.server() as server:
            return bool(server.zcard(keys.WORKERS) == len(self.workers))

    def answers(self) -> bool:
        """Whether the server does, past the proxy."""
        return answers(self.redis_url)

    def kill(self, name: str) -> bool:
        """SIGKILL to a process, not to its children. False: it was dead just then."""
        return self._signal(self._supervisor.pid(name), signal.SIGKILL)

    def freeze(self, name: str) -> bool:
        """SIGSTOP to the process and its children."""
        return self._signal_tree(name, signal.SIGSTOP)

    def revive(self, name: str) -> bool:
        return self._signal_tree(name, signal.SIGCONT)

    def kill_child(self, name: str) -> bool:
        """SIGKILL to one child of a process. False: it had none just then."""
        children = self._children(name)
        return bool(children) and self._signal(children[0], signal.SIGKILL)

    def load_functions(self, source: str) -> None:
        """Replace the library of functions inside the server."""
        with self.server() as server:
            server.function_load(source, replace=True)

    def stale_writes_refused(self) -> int:
        """How often a worker was told that what it ran was no longer its own."""
        text = self.log_path.read_text()
        return text.count("execution.stale_write_refused") + text.count("execution.lost")

    def _children(self, name: str) -> list[int]:
        pid = self._supervisor.pid(name)
        try:
            return [] if pid is None else [child.pid for child in psutil.Process(pid).children()]
        except psutil.NoSuchProcess:
            return []

    def _signal_tree(self, name: str, signum: signal.Signals) -> bool:
        children = self._children(name)
        reached = self._signal(self._supervisor.pid(name), signum)
        for child in children:
            self._signal(child, signum)
        return reached

    @staticmethod
    def _signal(pid: int | None, signum: signal.Signals) -> bool:
        try:
            if pid is not None:
                os.kill(pid, signum)
        except ProcessLookupError:
            return False
        return pid is not None


@contextmanager
def installed(directory: Path, plan: Plan) -> Iterator[Installation]:
    """A started installation; all of its processes end with the block."""
    data_dir = DataDir(directory / "data")
    with ExitStack() as cleanup:
        lock_fd = cleanup.enter_context(data_dir.locked())
        program, url = embedded_redis(data_dir, lock_fd)
        proxy = cleanup.enter_context(Proxy(urlsplit(url).port or 0))
        installation = Installation(directory, plan, program, url, proxy)
        cleanup.callback(installation.stop)
        installation.start()
        yield installation
