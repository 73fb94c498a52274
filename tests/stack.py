"""A whole Kennel of real processes for tests: Redis, API, any number of workers, each one killable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.servers import free_port, redis_server
from tests.waiting import wait_until

ROOT = Path(__file__).parent.parent
API_KEY = "sk_test_key_of_the_test_stack"
# Short enough that a lost worker is noticed within a test, long enough for a busy machine.
FAST = {"KENNEL_LEASE_MS": "3000", "KENNEL_HEARTBEAT_MS": "500", "KENNEL_SWEEP_MS": "200"}

# Stages for tests, installed beside Kennel's own through the entry-point group.
_STAGES = '''
import os, time
from pathlib import Path
from typing import ClassVar
import httpx
from shared.errors import StageError
from workers.stages.base import Stage, StageOutput, StageParameters

SIGNS = Path(os.environ["TEST_SIGNS"])

class GateParameters(StageParameters):
    gate: str = "open"
    stubborn: bool = False
    deaf: bool = False

class Gate(Stage[GateParameters]):
    """Note the start in a file outside of Redis, then wait for a file to appear.

    `stubborn` never looks whether it must stop; `deaf` is one call into C, until somebody writes to the FIFO.
    """
    stage_id: ClassVar[str] = "test_gate"
    category: ClassVar[str] = "apply"
    Parameters = GateParameters

    def run(self, documents, context):
        with (SIGNS / "starts").open("a") as starts:
            starts.write(f"{context.execution_id} {context.stage_name}\\n")
        if self.parameters.deaf:
            (SIGNS / self.parameters.gate).open().close()
        ends_at = time.monotonic() + 60
        while not (SIGNS / self.parameters.gate).exists() and time.monotonic() < ends_at:
            time.sleep(0.01)
            if not self.parameters.stubborn:
                context.check()
        return StageOutput(documents)

class FailParameters(StageParameters):
    kind: str = "stage"

class Fail(Stage[FailParameters]):
    """Fail, foreseen or not."""
    stage_id: ClassVar[str] = "test_fail"
    category: ClassVar[str] = "apply"
    Parameters = FailParameters

    def run(self, documents, context):
        if self.parameters.kind == "stage":
            raise StageError("this stage always fails")
        raise ZeroDivisionError("secret detail")

class CallParameters(StageParameters):
    url: str

class Call(Stage[CallParameters]):
    """Note the start, then ask a service, as stages that call models do."""
    stage_id: ClassVar[str] = "test_call"
    category: ClassVar[str] = "apply"
    Parameters = CallParameters

    def run(self, documents, context):
        with (SIGNS / "starts").open("a") as starts:
            starts.write(f"{context.execution_id} {context.stage_name}\\n")
        httpx.get(self.parameters.url, timeout=5).raise_for_status()
        return StageOutput(documents)
'''


class Stack:
    """Use `stack()` to make one."""

    def __init__(self, directory: Path, redis_url: str, port: int, over: dict[str, str]) -> None:
        self.directory = directory
        self.redis_url = redis_url
        self.base_url = f"http://127.0.0.1:{port}"
        self.port = port
        self.signs = directory / "signs"
        self.signs.mkdir()
        self.processes: list[subprocess.Popen[bytes]] = []
        self._environment = {
            **os.environ,
            **FAST,
            "KENNEL_REDIS_URL": redis_url,
            "KENNEL_DATA_DIR": str(directory / "data"),
            "KENNEL_API_KEY": API_KEY,
            "CELERY_CUSTOM_WORKER_POOL": "workers.pool:ThreadPool",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{self._test_stages()}",
            "PYTHONWARNINGS": "ignore",
            "TEST_SIGNS": str(self.signs),
            **over,
        }
        self.client = httpx.Client(
            base_url=f"{self.base_url}/v1", headers={"Authorization": f"Bearer {API_KEY}"}, timeout=30
        )

    def _test_stages(self) -> Path:
        packages = self.directory / "packages"
        about = packages / "kennel_test_stages-1.0.dist-info"
        about.mkdir(parents=True)
        (packages / "kennel_test_stages.py").write_text(_STAGES)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: kennel-test-stages\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(
            "[kennel.stages]\ngate = kennel_test_stages:Gate\nfail = kennel_test_stages:Fail\n"
            "call = kennel_test_stages:Call\n"
        )
        return packages

    def start(self, name: str, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env={**self._environment, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def start_api(self) -> subprocess.Popen[bytes]:
        process = self.start(
            "api", "uvicorn", "api.main:create_app", "--factory", f"--port={self.port}", "--no-access-log"
        )
        wait_until(lambda: self._health() is not None, 30, "the API to answer")
        return process

    def start_worker(
        self, name: str = "w1", *, threads: int = 4, pool: str = "custom", **environment: str
    ) -> subprocess.Popen[bytes]:
        """Returns once the worker is on the list of those online."""
        command = ("celery", "-A", "workers.app", "worker", "-P", pool, "-c", str(threads), "-l", "INFO")
        options = ("-n", f"{name}@%h", "--without-gossip", "--without-mingle")
        process = self.start(name, *command, *options, **environment)
        marker = f"{name}@"
        log = self.directory / f"{name}.log"
        seen = log.read_text().count("ready.")

        def ready() -> bool:
            assert process.poll() is None, f"worker {name} ended: {log.read_text()[-2000:]}"
            text = log.read_text()
            return text.count("ready.") > seen and marker in text

        wait_until(ready, 30, f"worker {name} to be ready")
        wait_until(lambda: self.client.get("/retrievers/stages").status_code == 200, 10, "the catalogue")
        return process

    def _health(self) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = self.client.get("/health", timeout=2).json()
        except httpx.HTTPError:
            return None
        return answer

    def stop(self) -> None:
        self.client.close()
        for process in self.processes:
            kill(process)

    # What tests say

    def namespace(self, name: str) -> httpx.Client:
        """A client inside a new namespace of this name."""
        created = self.client.post("/namespaces", json={"namespace_name": name})
        assert created.status_code == 200, created.text
        headers = {**self.client.headers, "X-Namespace": name}
        return httpx.Client(base_url=f"{self.base_url}/v1", headers=headers, timeout=30)

    def open(self, gate: str) -> None:
        (self.signs / gate).touch()

    def starts(self, execution_id: str) -> list[str]:
        """Names of the stages that were started for an execution, repeats included."""
        path = self.signs / "starts"
        lines = path.read_text().split("\n") if path.exists() else []
        return [line.split(" ")[1] for line in lines if line.startswith(f"{execution_id} ")]


def gate(name: str, **parameters: Any) -> dict[str, Any]:
    """A stage of a definition that waits for the gate of its own name."""
    return {
        "stage_name": name,
        "config": {"stage_id": "test_gate", "parameters": {"gate": name, **parameters}},
    }


def create_retriever(client: httpx.Client, name: str, stages: list[dict[str, Any]], **over: Any) -> str:
    body = {"retriever_name": name, "stages": stages, **over}
    answer = client.post("/retrievers", json=body)
    assert answer.status_code == 200, answer.text
    retriever_id: str = answer.json()["retriever_id"]
    return retriever_id


def execute(client: httpx.Client, retriever: str, **body: Any) -> str:
    answer = client.post(f"/retrievers/{retriever}/execute", json=body)
    assert answer.status_code == 200, answer.text
    execution_id: str = answer.json()["execution_id"]
    return execution_id


def poll_until(
    client: httpx.Client,
    retriever: str,
    execution_id: str,
    predicate: Callable[[dict[str, Any]], bool],
    description: str,
    timeout_s: float = 30,
) -> dict[str, Any]:
    """The execution as soon as it satisfies."""
    seen: dict[str, Any] = {}

    def satisfied() -> bool:
        seen.clear()
        seen.update(client.get(f"/retrievers/{retriever}/executions/{execution_id}").json())
        return predicate(seen)

    wait_until(satisfied, timeout_s, f"{description}: {execution_id}")
    return seen


def ended(execution: dict[str, Any]) -> bool:
    return execution["status"] in ("completed", "degraded", "failed", "cancelled")


def kill(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGKILL) -> None:
    """To the whole process group, so that pool children go too."""
    if process.poll() is None:
        os.killpg(process.pid, how)
    process.wait(20)


@contextmanager
def stack(directory: Path, **over: str) -> Iterator[Stack]:
    """Redis and API are up; workers are the test's own to start."""
    with ExitStack() as cleanup:
        redis_directory = directory / "redis"
        redis_directory.mkdir(parents=True)
        redis_url = cleanup.enter_context(redis_server(redis_directory))
        made = Stack(directory, redis_url, free_port(), over)
        cleanup.callback(made.stop)
        made.start_api()
        yield made
