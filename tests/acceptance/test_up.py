"""`kennel up` as a whole: its real processes, killed one by one, stopped, and started again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from redis import Redis

from ops.redis_probe import connect
from tests.servers import answers

pytestmark = pytest.mark.timeout(120)

KENNEL = [sys.executable, "-m", "ops.cli"]
START_S = 60.0
RESTART_S = 30.0
STOP_S = 10.0  # the promise: everything is gone by then
# What tells a child from the others on its command line.
KINDS = {"api": " uvicorn ", "worker-1": " worker ", "flower": " flower ", "redis": "-server "}


def wait_until(is_so: Callable[[], bool], timeout_s: float, description: str) -> None:
    give_up_at_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < give_up_at_s, f"{description}: not within {timeout_s:g} s"
        time.sleep(0.05)


def alone(**variables: str) -> dict[str, str]:
    """The environment without this machine's KENNEL_ variables, so that a test decides them all."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KENNEL_")}
    return {**inherited, **variables}


@dataclass
class Running:
    """One `kennel up`."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def url(self, what: str) -> str:
        """From the summary: `API     http://…`."""
        found = re.search(rf"^{what} +(http://\S+)", self.log, re.MULTILINE)
        assert found, self.log
        return found[1]

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def pid(self, name: str) -> int | None:
        for child in self.children():
            with suppress(psutil.Error):
                if KINDS[name] in " ".join(child.cmdline()):
                    return child.pid
        return None

    def is_healthy(self) -> bool:
        """As a client sees it: the key is known (API and Redis) and a worker is online."""
        headers = {"Authorization": f"Bearer {(self.data_dir / 'api_key').read_text().strip()}"}
        try:
            with httpx.Client(
                base_url=self.url("API"), headers=headers, timeout=5, trust_env=False
            ) as client:
                me, health = client.get("/v1/me"), client.get("/v1/health")
        except httpx.HTTPError:
            return False
        return me.status_code == 200 and health.json()["workers_online"] >= 1


def start(data_dir: Path, log_file: Path) -> Running:
    arguments = ["up", "--no-demo", "--port=0", "--flower-port=0", f"--data-dir={data_dir}", "--workers=1"]
    with log_file.open("wb") as log:
        process = subprocess.Popen([*KENNEL, *arguments], stdout=log, stderr=subprocess.STDOUT, env=alone())
    running = Running(process, data_dir, log_file)

    def is_ready() -> bool:
        assert process.poll() is None, running.log
        return "Ctrl-C stops everything" in running.log

    try:
        wait_until(is_ready, START_S, "kennel up is ready")
    except BaseException:
        process.kill()
        process.wait()
        raise
    return running


@dataclass
class Ended:
    """What a first `kennel up` left when it was told to stop."""

    exit_code: int
    alive: list[psutil.Process]
    api_key: str
    redis_url: str
    log: str


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up")


@pytest.fixture(scope="module")
def first(directory: Path) -> Ended:
    running = start(directory / "data", directory / "first.log")
    children = running.children()
    running.process.send_signal(signal.SIGTERM)
    exit_code = running.process.wait(STOP_S)
    _, alive = psutil.wait_procs(children, timeout=0)
    return Ended(
        exit_code=exit_code,
        alive=alive,
        api_key=(running.data_dir / "api_key").read_text(),
        redis_url=(running.data_dir / "redis_url").read_text(),
        log=running.log,
    )


@pytest.fixture(scope="module")
def kennel(directory: Path, first: Ended) -> Iterator[Running]:
    """A second start on the same directory. At the end it is killed, and nothing may outlive it."""
    running = start(directory / "data", directory / "second.log")
    yield running
    children = running.children()
    running.process.kill()
    running.process.wait(STOP_S)
    _, alive = psutil.wait_procs(children, timeout=STOP_S)
    for process in alive:
        process.kill()
    if sys.platform == "linux":
        assert not alive, f"outlived a killed supervisor: {alive}"


@pytest.fixture
def redis(kennel: Running) -> Iterator[Redis]:
    with connect((kennel.data_dir / "redis_url").read_text().strip()) as client:
        wait_until(lambda: answers(client), RESTART_S, "Redis answers")  # another test may have killed it
        yield client


def refusal(*arguments: str, **variables: str) -> str:
    """The one line of a `kennel up` that does not start."""
    argv = [*KENNEL, "up", "--no-demo", *arguments]
    result = subprocess.run(
        argv, capture_output=True, text=True, timeout=30, env=alone(**variables), check=False
    )
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def test_a_stop_ends_everything_with_exit_code_0(first: Ended) -> None:
    assert (first.exit_code, first.alive) == (0, [])
    assert first.log.splitlines()[-1] == "kennel   | stopped"
    assert "has not ended" not in first.log


def test_a_second_start_keeps_key_and_redis_address(first: Ended, kennel: Running) -> None:
    assert (kennel.data_dir / "api_key").read_text() == first.api_key
    assert (kennel.data_dir / "redis_url").read_text() == first.redis_url
    assert kennel.is_healthy()


def test_only_the_owner_reads_the_secrets_and_no_command_line_shows_them(kennel: Running) -> None:
    secrets = []
    for name in ("api_key", "flower_password", "redis_url"):
        file = kennel.data_dir / name
        assert file.stat().st_mode & 0o077 == 0
        secrets.append(file.read_text().strip())
    command_lines = " ".join(" ".join(child.cmdline()) for child in kennel.children())
    for secret in (*secrets, secrets[-1].split("@")[0].removeprefix("redis://:")):
        assert secret not in command_lines
        assert secret not in kennel.log


def test_flower_asks_for_its_password(kennel: Running) -> None:
    password = (kennel.data_dir / "flower_password").read_text().strip()
    with httpx.Client(base_url=kennel.url("Flower"), timeout=10, trust_env=False) as client:

        def is_up() -> bool:
            with suppress(httpx.TransportError):  # another test may just have killed it
                return client.get("/healthcheck").status_code == 200
            return False

        wait_until(is_up, RESTART_S, "Flower answers")
        assert client.get("/workers").status_code == 401
        assert client.get("/workers", auth=("kennel", password)).status_code == 200


@pytest.mark.parametrize("name", list(KINDS))
def test_a_killed_process_comes_back_loudly(kennel: Running, name: str) -> None:
    message = f"kennel   | {name} died (killed by SIGKILL), restarting in"
    told, pid = kennel.log.count(message), kennel.pid(name)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: kennel.log.count(message) == told + 1, RESTART_S, f"{name}'s death is told")
    wait_until(lambda: kennel.pid(name) not in (None, pid), RESTART_S, f"{name} is back")
    wait_until(kennel.is_healthy, RESTART_S, "Kennel is healthy")


def test_a_data_directory_in_use_is_refused(kennel: Running) -> None:
    message = refusal("--port=0", "--flower-port=0", f"--data-dir={kennel.data_dir}")
    assert f"in use by another Kennel (pid {kennel.process.pid})" in message


@pytest.mark.parametrize(("option", "what"), [("--port", "API"), ("--flower-port", "Flower")])
def test_a_port_in_use_is_refused(kennel: Running, tmp_path: Path, option: str, what: str) -> None:
    port = kennel.url("API").rsplit(":", 1)[1]
    others = {"--port": "0", "--flower-port": "0", option: port}
    message = refusal(f"--data-dir={tmp_path}", *(f"{name}={value}" for name, value in others.items()))
    assert f"Port {port} for the {what} is in use" in message
    assert option in message


def test_an_unreachable_redis_is_refused(tmp_path: Path) -> None:
    message = refusal(
        "--port=0",
        "--flower-port=0",
        f"--data-dir={tmp_path}",
        KENNEL_REDIS_URL="redis://:p4ss@127.0.0.1:1/0",
    )
    assert "redis://:***@127.0.0.1:1/0 cannot be reached" in message


def test_an_evicting_redis_is_refused(kennel: Running, redis: Redis, tmp_path: Path) -> None:
    url = (kennel.data_dir / "redis_url").read_text().strip()
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        message = refusal("--port=0", "--flower-port=0", f"--data-dir={tmp_path}", KENNEL_REDIS_URL=url)
    finally:
        redis.config_set("maxmemory-policy", "noeviction")
    assert "CONFIG SET maxmemory-policy noeviction" in message


def test_an_unusable_key_is_refused_and_not_kept(tmp_path: Path) -> None:
    message = refusal("--port=0", "--flower-port=0", f"--data-dir={tmp_path}", KENNEL_API_KEY="short")
    assert "KENNEL_API_KEY cannot be used" in message
    assert not (tmp_path / "api_key").exists()
