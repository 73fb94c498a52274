"""Where requests go: URL, key and namespace, from arguments, the environment or a local `kennel up`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from client.errors import NotConfigured

DEFAULT_URL = "http://127.0.0.1:8000"
_LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long things may take (s). A request that the server holds on purpose gets that time on top."""

    connect_s: float = 5.0
    read_s: float = 30.0  # of silence, once a request is sent
    retry_s: float = 30.0  # for how long a request that may be repeated is; 5 s before the first answer


DEFAULT_TIMEOUTS = Timeouts()


@dataclass(frozen=True, slots=True)
class Target:
    """A server and what to tell it with every request."""

    url: SplitResult
    api_key: str
    namespace: str | None

    @classmethod
    def of(cls, base_url: str | None, api_key: str | None, namespace: str | None) -> Target:
        """Arguments, else KENNEL_URL, KENNEL_API_KEY and KENNEL_NAMESPACE, else a local `kennel up`.

        The key file of a local installation is used for addresses of this machine only: a key is never
        sent to a host that it was not meant for.

        Raises:
            NotConfigured: not an http or https URL, or no key.
        """
        environment = os.environ
        url = _split(base_url or environment.get("KENNEL_URL") or DEFAULT_URL)
        key = api_key or environment.get("KENNEL_API_KEY") or _local_key(url)
        return cls(url, key, namespace or environment.get("KENNEL_NAMESPACE") or None)

    @property
    def origin(self) -> str:
        """The URL as people write it."""
        return self.url.geturl()

    def headers(self) -> dict[str, str]:
        """Of every request."""
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        return headers | ({"X-Namespace": self.namespace} if self.namespace else {})


def _split(text: str) -> SplitResult:
    bare = text.rstrip("/").removesuffix("/v1")
    try:
        url = urlsplit(bare)
        is_usable = url.scheme in ("http", "https") and url.hostname and url.port != 0 and not url.username
    except ValueError:  # the port is no number
        is_usable = False
    if not is_usable:
        raise NotConfigured(f"{text!r} is not an address; use one like {DEFAULT_URL}")
    return url


def _local_key(url: SplitResult) -> str:
    file = Path(os.environ.get("KENNEL_DATA_DIR") or ".kennel") / "api_key"
    try:
        if url.hostname in _LOOPBACK:
            return file.read_text().strip()
    except OSError:
        pass  # said below
    raise NotConfigured(
        f"no API key: set KENNEL_API_KEY, or run this where `kennel up` was started (no key for "
        f"{url.hostname} in {file.absolute()})"
    )
