"""How large a run is, and everything that its seed decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random


@dataclass(frozen=True)
class Plan:
    """One run. The defaults are those of `make chaos`: Kennel's own settings, every kind of fault."""

    seed: int = 1
    executions: int = 2_000  # at least so many are submitted; the load lasts as long as the faults
    faults: int = 40
    rate_per_s: float = 10.0
    thread_workers: int = 3
    outages_s: tuple[float, ...] = (2.0, 20.0, 90.0)
    settings: dict[str, object] = field(default_factory=dict)  # of the installation, over its defaults
    lease_s: float = 10.0  # as the settings say
    recovery_s: float = 15.0  # from the end of a fault, while a worker survives
    recovery_alone_s: float = 30.0  # when none did


QUICK = Plan(
    executions=200,
    faults=8,
    rate_per_s=10.0,
    thread_workers=2,
    outages_s=(2.0,),
    settings={"lease_ms": 3_000, "heartbeat_ms": 500, "sweep_ms": 200},
    lease_s=3.0,
)

STAGES = 3
STAGE_NAMES = tuple(f"step_{index}" for index in range(STAGES))
# (share, shortest ms, longest ms): most stages are short, some take seconds.
_LENGTHS = ((0.5, 5, 50), (0.3, 100, 600), (0.2, 1_000, 2_500))


@dataclass(frozen=True)
class Work:
    """What one submission asks for."""

    number: int
    durations_ms: tuple[int, ...]  # of each stage
    fails: bool  # in its last stage
    is_cancelled: bool  # by a call right after the submit


def work(seed: int, number: int) -> Work:
    """The same for the same seed and number, whichever thread asks."""
    random = Random(f"{seed}:{number}")
    shares, shortest, longest = zip(*_LENGTHS, strict=True)
    kinds = random.choices(range(len(_LENGTHS)), shares, k=STAGES)
    durations = tuple(random.randint(shortest[kind], longest[kind]) for kind in kinds)
    return Work(number, durations, fails=random.random() < 0.03, is_cancelled=random.random() < 0.03)
