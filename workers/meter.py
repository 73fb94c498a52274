"""What this process has measured and not yet sent: sums in memory, so that measuring costs no command."""

from __future__ import annotations

import secrets
import threading
from collections import defaultdict

from shared.metrics import Counter, Histogram
from shared.stores.ledger import Measurements


class Meter:
    """One per process; safe to share between threads. What a killed process had not sent is lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: defaultdict[str, int] = defaultdict(int)
        self._on_its_way: Measurements | None = None

    def count(self, counter: Counter, by: int = 1, label: str = "") -> None:
        if by:
            with self._lock:
                self._sums[counter.field(label)] += by

    def observe(self, histogram: Histogram, seconds: float, label: str = "") -> None:
        bucket, total = histogram.fields(seconds, label)
        with self._lock:
            self._sums[bucket] += 1
            self._sums[total] += round(seconds * 1_000_000)

    def to_send(self) -> Measurements | None:
        """What is to be added: the same again until it was confirmed, so that a repeat can be told."""
        with self._lock:
            if self._on_its_way is None and self._sums:
                self._on_its_way = Measurements(secrets.token_hex(8), dict(self._sums))
                self._sums = defaultdict(int)
            return self._on_its_way

    def confirm(self) -> None:
        """What `to_send` gave is stored."""
        with self._lock:
            self._on_its_way = None
