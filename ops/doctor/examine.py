"""The examination: a first look at everything, a second one at what seemed wrong, and the repairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from redis import Redis

from ops.doctor import counters, leases, lifetimes, orphans, queues, records
from ops.doctor.bounded import STEP, in_steps
from ops.doctor.fault import Fault
from shared.settings import Settings

# Looks at some keys of one kind.
Look = Callable[[Sequence[str]], Iterator[Fault]]


@dataclass(frozen=True, slots=True)
class Finding:
    fault: Fault
    mended: bool


@dataclass(frozen=True, slots=True)
class Report:
    findings: tuple[Finding, ...]
    keys: int  # that were looked at
    notes: tuple[str, ...]  # what could not be compared, and why


def examine(
    redis: Redis, settings: Settings, *, fix: bool, pause: Callable[[float], None] = time.sleep
) -> Report:
    """Look twice, so that nothing in motion is called wrong; with `fix` mend what is.

    Between the looks is a pause in which every living worker renews its leases twice, as after a gap of the
    sweep (docs/record.md); without anything suspicious there is none.
    """
    examination = _Examination(redis, settings)
    suspected = examination.first_look()
    if suspected:
        pause((2 * settings.heartbeat_ms + 1_000) / 1_000)
    there = [fault for fault in suspected if fault.is_there(redis)]
    findings = [Finding(fault, fix and fault.mend(redis)) for fault in there]
    if fix:  # what is removed may still be in the books
        findings += [Finding(fault, True) for fault in examination.look_at_books() if fault.mend(redis)]
    return Report(tuple(findings), examination.keys, tuple(dict.fromkeys(examination.notes)))


class _Examination:
    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self.keys = 0
        self.notes: list[str] = []

    def first_look(self) -> list[Fault]:
        """What seems wrong, each fault once; counters last, because other faults make them wrong."""
        redis, settings = self._redis, self._settings
        found = [
            *queues.look(redis, settings),
            *leases.look(redis, settings),
            *self._look_at_keys(),
            *self.look_at_books(),
        ]
        found.sort(key=lambda fault: fault.kind.name == counters.WRONG)
        return list({(fault.repair, fault.subject): fault for fault in found}.values())

    def _look_at_keys(self) -> Iterator[Fault]:
        looks = self._looks()
        for step in in_steps(self._redis.scan_iter("kennel:*", count=STEP)):
            self.keys += len(step)
            by_kind: dict[str, list[str]] = {}
            for name in step:
                by_kind.setdefault(kind_of(name), []).append(name)
            for kind, names in by_kind.items():
                for look in looks.get(kind, ()):
                    yield from look(names)

    def _looks(self) -> dict[str, tuple[Look, ...]]:
        """By kind of key."""
        redis, settings = self._redis, self._settings
        lifetime = partial(lifetimes.look, redis, settings)
        return {
            **dict.fromkeys(lifetimes.lifetimes_s(settings), (lifetime,)),
            "docs": (lifetime, partial(orphans.look_at_documents, redis)),
            "ckpt": (lifetime, partial(orphans.look_at_checkpoints, redis)),
            "exec": (partial(records.look, redis, settings),),
            "def": (partial(lifetimes.look_at_definitions, redis, settings),),
            "batch": (partial(counters.look_at_batches, redis),),
            "lines": (partial(orphans.look_at_lines, redis),),
            "alert_state": (partial(orphans.look_at_alert_states, redis),),
            "books": (partial(orphans.look_at_books, redis),),
        }

    def look_at_books(self) -> Iterator[Fault]:
        """Those of the installation and of each namespace."""
        yield from counters.look_at_installation(self._redis)
        there = counters.open_by_namespace(self._redis)
        if there is not None:
            yield from counters.look_at_namespaces(self._redis, there)
            return
        self.notes.append(
            f"more than {counters.OPEN_MAX:,} executions are unfinished: the books of single namespaces were "
            "not compared; look again when there are fewer"
        )


def kind_of(name: str) -> str:
    """The word behind `kennel:`; lines of a batch are a kind of their own, what has no id is none."""
    kind, _, rest = name.removeprefix("kennel:").partition(":")
    if kind == "batch" and rest.endswith(":lines"):
        return "lines"
    return kind if rest else ""
