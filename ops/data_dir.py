"""The data directory: one Kennel at a time, secrets in files only its owner can read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ops.errors import CannotStart

# After `kill -9` of a supervisor its Redis needs a moment to end, and holds the lock until then.
LOCK_WAIT_S = 5.0
LOCK_RETRY_S = 0.1


class DataDir:
    """Everything an embedded installation keeps: move or delete it as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()

    @property
    def api_key_file(self) -> Path:
        return self.path / "api_key"

    @property
    def mixpeek_key_file(self) -> Path:
        """A key whose executions are answered when they have ended, for clients that never poll."""
        return self.path / "mixpeek_key"

    @property
    def flower_password_file(self) -> Path:
        return self.path / "flower_password"

    @property
    def redis_url_file(self) -> Path:
        """Address and password of the embedded server, kept across starts."""
        return self.path / "redis_url"

    @property
    def redis_dir(self) -> Path:
        return self.path / "redis"

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the directory; yields the lock's file descriptor.

        A child that inherits the descriptor holds the directory too, until it ends.

        Raises:
            CannotStart: another Kennel holds it, or it cannot be written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock_fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CannotStart(
                f"The data directory {self.path} cannot be used ({error.strerror}); "
                "choose another with --data-dir or KENNEL_DATA_DIR."
            ) from error
        try:
            self._acquire(lock_fd)
            yield lock_fd
        finally:
            os.close(lock_fd)

    def _acquire(self, lock_fd: int) -> None:
        give_up_at_s = time.monotonic() + LOCK_WAIT_S
        while not _try_lock(lock_fd):
            owner = os.pread(lock_fd, 32, 0).decode().strip()
            if _is_alive(owner):
                raise CannotStart(
                    f"The data directory {self.path} is in use by another Kennel (pid {owner}); "
                    "stop that one, or choose another directory with --data-dir."
                )
            if time.monotonic() > give_up_at_s:
                raise CannotStart(
                    f"The data directory {self.path} is still in use by the Redis of a killed Kennel "
                    f"(pid {owner}); stop that Redis (its port is in {self.redis_url_file}) and try again."
                )
            time.sleep(LOCK_RETRY_S)
        os.ftruncate(lock_fd, 0)
        os.pwrite(lock_fd, f"{os.getpid()}\n".encode(), 0)


def keep_secret(path: Path, make: Callable[[], str]) -> str:
    """The secret in the file at `path`, made and written (mode 600) when there is none yet."""
    with contextlib.suppress(FileNotFoundError):
        if text := path.read_text().strip():
            path.chmod(0o600)
            return text
    secret = make()
    write_private(path, secret + "\n")
    return secret


def write_private(path: Path, text: str) -> None:
    """Replace the file at once (a reader sees the old or the new text), readable by its owner only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
