"""Puts the time of day of this process off by what a file says, from one moment to the next.

Python runs it at the start of each process that has this folder on its path. CHAOS_CLOCK names a file of
eight bytes, the shift in nanoseconds; it is mapped into memory, so forked children follow it, too.
`time.time` and `time.time_ns` are all that Kennel and Celery ask (`time.monotonic` is no clock to set).
"""

import mmap
import os
import struct
import time
from pathlib import Path

if "CHAOS_CLOCK" in os.environ:
    with Path(os.environ["CHAOS_CLOCK"]).open("rb") as _file:
        _shift = mmap.mmap(_file.fileno(), 8, prot=mmap.PROT_READ)
    _true_ns = time.time_ns

    def _shifted_ns() -> int:
        return _true_ns() + struct.unpack("q", _shift[:])[0]

    def _shifted() -> float:
        return _shifted_ns() / 1e9

    time.time_ns, time.time = _shifted_ns, _shifted
