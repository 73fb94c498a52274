"""The header `Prefer` (RFC 7240): whether a client waits for its answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from api.auth import Principal
from shared.settings import Settings

WAIT_MAX_S = 60.0
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d+(?:\.\d+)?)\"?", re.IGNORECASE)
_RESPOND_ASYNC = re.compile(r"(?:^|[,;\s])respond-async(?:$|[,;\s])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Preference:
    """RFC 7240: `Prefer: respond-async, wait=N`. What is not understood is ignored, as the RFC asks."""

    wait_s: float | None
    respond_async: bool

    @classmethod
    def of(cls, header: str | None) -> Self:
        if not header:
            return cls(None, False)
        wait = _WAIT.search(header)
        return cls(min(float(wait[1]), WAIT_MAX_S) if wait else None, bool(_RESPOND_ASYNC.search(header)))

    def applied(self) -> list[tuple[bytes, bytes]]:
        parts = ["respond-async"] if self.respond_async else []
        if self.wait_s is not None:
            parts.append(f"wait={self.wait_s:g}")
        return [(b"preference-applied", ", ".join(parts).encode())] if parts else []

    def execute_wait_s(self, principal: Principal, settings: Settings) -> float:
        """How long an execute's answer is held: as preferred, else the key's default, else everybody's."""
        if self.wait_s is not None:
            return self.wait_s
        if self.respond_async:
            return 0.0
        return principal.default_wait_s or settings.execute_wait_s
