"""Secrets at rest: encrypted with a key that is in a file of the data directory, never in Redis."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from shared.errors import Unavailable

_FILE = "secrets_key"


class Vault:
    """Seals and opens texts. API and workers share the data directory, and so the key."""

    def __init__(self, data_dir: Path) -> None:
        """Nothing is read or made yet."""
        self._path = data_dir.expanduser() / _FILE
        self._fernet: Fernet | None = None

    def seal(self, text: str) -> str:
        """A token that only the key file opens. Raises Unavailable when that cannot be read or made."""
        return self._key().encrypt(text.encode()).decode()

    def unseal(self, token: str) -> str:
        """The text that was sealed.

        Raises:
            Unavailable: the key file is not the one that it was sealed with, or cannot be read.
        """
        try:
            return self._key().decrypt(token.encode()).decode()
        except InvalidToken as error:
            raise Unavailable(
                f"the file {_FILE} of the data directory does not open what was sealed; restore that file"
            ) from error

    def _key(self) -> Fernet:
        if self._fernet is None:
            try:
                self._fernet = Fernet(_kept_key(self._path))
            except (OSError, ValueError) as error:
                raise Unavailable(
                    f"the file {_FILE} of the data directory cannot be used: {error}"
                ) from error
        return self._fernet


def _kept_key(path: Path) -> bytes:
    """The key in the file, made (mode 600) when there is none; of two processes that make it, one wins."""
    with suppress(FileNotFoundError):
        return path.read_bytes()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(Fernet.generate_key())
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):
            os.link(draft, path)  # fails when another process was faster
    finally:
        draft.unlink()
    return path.read_bytes()
