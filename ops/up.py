"""`kennel up`: a whole installation on one machine, from the lock on its data directory to a clean stop."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import SecretStr
from redis.exceptions import RedisError

from ops import demo, redis_probe
from ops.commands import FLOWER_USER, programs
from ops.console import Console
from ops.data_dir import DataDir, keep_secret, write_private
from ops.errors import CannotStart, GaveUp
from ops.ports import claim_port
from ops.readiness import Readiness
from ops.redis_server import embedded_redis
from ops.supervisor import Supervisor
from shared import ids
from shared.errors import KennelError
from shared.models.api_key import check_secret
from shared.settings import Settings
from shared.stores.api_keys import ensure_key

REDIS_START_S = 120.0  # it loads its whole file first
READY_S = 60.0
# Workers hand back what they run after `shutdown_grace_s` (4 s); with these, all is over within 10 s.
HAND_BACK_S = 3.0
REDIS_STOP_S = 2.0

# For clients that never poll: below the 30 s after which the mixpeek client gives up reading.
MIXPEEK_KEY_NAME = "mixpeek-client"
MIXPEEK_WAIT_S = 20.0

EXIT_STOPPED = 0
EXIT_GAVE_UP = 1
EXIT_CANNOT_START = 2
EXIT_FORCED = 130


@dataclass(frozen=True)
class Installation:
    """What is known once everything is checked; nothing in it is open."""

    settings: Settings  # final: no 0 that means "choose"
    data_dir: DataDir
    api_key: str
    mixpeek_key: str
    flower_password: str

    @property
    def base_url(self) -> str:
        host = self.settings.host
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings.port}"

    @property
    def flower_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.flower_port}"


def up(settings: Settings) -> int:
    """Run an installation until a signal stops it.

    Returns:
        The exit code: 0 stopped by a signal, 1 a process keeps dying, 2 cannot start, 130 forced.
    """
    console = Console(settings.log_format)
    supervisor = Supervisor(console)
    supervisor.handle_signals()
    data_dir = DataDir(settings.data_dir)
    try:
        with data_dir.locked() as lock_fd:
            return _run(prepare(settings, data_dir), supervisor, console, lock_fd)
    except CannotStart as error:
        print(f"kennel: {error}", file=sys.stderr)
        return EXIT_CANNOT_START


def prepare(settings: Settings, data_dir: DataDir) -> Installation:
    """Check the ports, make the secrets, and replace every "choose for me" by a choice.

    Raises:
        CannotStart: a port is taken, or the given key is not usable.
    """
    final = settings.model_copy(
        update={
            "data_dir": data_dir.path,
            "workers": settings.workers or os.cpu_count() or 1,
            "port": claim_port("API", "--port", settings.host, settings.port),
            "flower_port": claim_port("Flower", "--flower-port", "127.0.0.1", settings.flower_port),
        }
    )
    if final.port == final.flower_port:
        raise CannotStart(
            f"API and Flower cannot both have port {final.port}; change --port or --flower-port."
        )
    return Installation(
        settings=final,
        data_dir=data_dir,
        api_key=_api_key(settings.api_key, data_dir),
        mixpeek_key=keep_secret(data_dir.mixpeek_key_file, ids.api_key),
        flower_password=keep_secret(data_dir.flower_password_file, lambda: secrets.token_urlsafe(12)),
    )


def _api_key(given: SecretStr | None, data_dir: DataDir) -> str:
    """KENNEL_API_KEY, which is written to the file too, or the file's, or a new one.

    Raises:
        CannotStart: it is not of the form of a key.
    """
    secret = given.get_secret_value() if given else keep_secret(data_dir.api_key_file, ids.api_key)
    try:
        check_secret(secret)
    except KennelError as error:
        source = "KENNEL_API_KEY" if given else f"The key in {data_dir.api_key_file}"
        raise CannotStart(f"{source} cannot be used: {error}.") from error
    if given:
        write_private(data_dir.api_key_file, secret + "\n")
    return secret


def _run(installation: Installation, supervisor: Supervisor, console: Console, lock_fd: int) -> int:
    try:
        installation = _start_redis(installation, supervisor, console, lock_fd)
        if not supervisor.is_stopping:
            _start_all(installation, supervisor, console)
        supervisor.run()
    except GaveUp as error:
        console.say(str(error))
        return EXIT_GAVE_UP
    finally:
        if supervisor.names():
            _stop_all(supervisor, console, installation.settings.shutdown_grace_s + HAND_BACK_S)
    return EXIT_FORCED if supervisor.is_forced else EXIT_STOPPED


def _start_redis(
    installation: Installation, supervisor: Supervisor, console: Console, lock_fd: int
) -> Installation:
    """Start the embedded server, or check the given one; the key exists in it afterwards.

    Raises:
        CannotStart: the given server cannot be used, or the key not be written.
    """
    settings = installation.settings
    if "redis_url" in settings.model_fields_set:
        for warning in redis_probe.check_external(settings.redis_url):
            console.say(warning)
    else:
        url = _start_embedded(installation.data_dir, supervisor, console, lock_fd)
        settings = settings.model_copy(update={"redis_url": url})
    if not supervisor.is_stopping:
        try:
            with redis_probe.connect(settings.redis_url) as redis:
                ensure_key(redis, installation.api_key)
                ensure_key(redis, installation.mixpeek_key, MIXPEEK_KEY_NAME, default_wait_s=MIXPEEK_WAIT_S)
        except (RedisError, KennelError) as error:
            raise CannotStart(f"The API key cannot be stored in Redis: {error}.") from error
    return replace(installation, settings=settings)


def _start_embedded(data_dir: DataDir, supervisor: Supervisor, console: Console, lock_fd: int) -> str:
    """Start the embedded server, wait until it answers or a stop is asked for; returns its URL."""
    program, url = embedded_redis(data_dir, lock_fd)
    console.say(f"starting Redis ({program.argv[0]}), data in {data_dir.path}")
    supervisor.start(program)
    is_up = supervisor.run(until=lambda: redis_probe.answers(url), timeout_s=REDIS_START_S)
    if not is_up and not supervisor.is_stopping:
        raise GaveUp(
            f"The embedded Redis does not answer after {REDIS_START_S:g} s; its lines above say why."
        )
    return url


def _start_all(installation: Installation, supervisor: Supervisor, console: Console) -> None:
    settings = installation.settings
    console.say(f"starting API, Flower and workers ({settings.workers} x {settings.threads} {settings.pool})")
    for program in programs(settings, installation.api_key, installation.flower_password):
        supervisor.start(program)
    with Readiness(installation.base_url) as ready:
        is_ready = supervisor.run(until=ready, timeout_s=READY_S)
    if supervisor.is_stopping:
        return
    if not is_ready:
        raise GaveUp(f"Not ready after {READY_S:g} s: {ready.missing}. The lines above say why. Giving up.")
    quickstart = _load_demo(installation, supervisor, console) if settings.demo else None
    if not supervisor.is_stopping:
        _print_summary(installation, console, quickstart)


def _load_demo(installation: Installation, supervisor: Supervisor, console: Console) -> str | None:
    """Load the demo beside the supervision; a demo that fails is told and does not stop anything.

    Returns:
        A command to try it with; None when it could not be loaded.
    """
    outcome: list[str] = []

    def load() -> None:
        try:
            demo.load(installation.base_url, installation.api_key, console.say)
            outcome.append(demo.quickstart(installation.base_url, installation.data_dir.api_key_file))
        except Exception as error:
            console.say(
                f"The demo could not be loaded ({type(error).__name__}: {error}); Kennel works without it."
            )

    thread = threading.Thread(target=load, name="demo", daemon=True)
    thread.start()
    supervisor.run(until=lambda: not thread.is_alive())
    return outcome[0] if outcome else None


def _print_summary(installation: Installation, console: Console, quickstart: str | None) -> None:
    data_dir = installation.data_dir
    lines = [
        "",
        "Kennel is ready.",
        f"API     {installation.base_url}  (documentation: /docs)",
        f"Flower  {installation.flower_url}  (user {FLOWER_USER}, password in the file below)",
        f"        {data_dir.flower_password_file}",
        f"Key     {data_dir.api_key_file}",
        f"        {data_dir.mixpeek_key_file}  (for the mixpeek client: waits for the end)",
        "",
        "Try it:",
        *(quickstart or _plain_quickstart(installation.base_url, data_dir.api_key_file)).splitlines(),
        "",
        "Ctrl-C stops everything.",
        "",
    ]
    console.paste(lines)


def _plain_quickstart(base_url: str, key_file: Path) -> str:
    return f'curl -H "Authorization: Bearer $(cat {shlex.quote(str(key_file))})" {base_url}/v1/me'


def _stop_all(supervisor: Supervisor, console: Console, timeout_s: float) -> None:
    """Everything but Redis at once, then Redis: workers still hand their executions back to it."""
    console.say("stopping")
    supervisor.stop([name for name in supervisor.names() if name != "redis"], timeout_s)
    supervisor.stop(["redis"], REDIS_STOP_S)
    console.say("stopped")
