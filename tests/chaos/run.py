"""One run: start everything, strike it under load, let it come to rest, gather, judge."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random
from threading import Event

from ops.readiness import Readiness
from tests.chaos.door import Door
from tests.chaos.evidence import gather, wait_for_the_end
from tests.chaos.faults import Kind, Scene, schedule
from tests.chaos.installation import API_KEY, Installation, installed
from tests.chaos.load import NAMESPACE, Load
from tests.chaos.outcome import Outcome, Struck
from tests.chaos.plan import Plan
from tests.chaos.referee import judge
from tests.chaos.unfenced import run_unfenced
from tests.waiting import wait_until

_READY_S = 90.0
_WARM = 10  # executions in flight before a fault, if they come soon
_WARM_WITHIN_S = 20.0
_RECOVERED_WITHIN_S = 90.0
_END_WITHIN_S = 90.0


def run(plan: Plan, directory: Path, tell: Callable[[str], None]) -> Outcome:
    """Call it from the main thread; everything it starts has ended when it returns.

    Args:
        tell: Is given a line for each fault as soon as it is healed.
    """
    with installed(directory, plan) as installation, ThreadPoolExecutor(1, "director") as pool:
        directed = pool.submit(_direct, installation, plan, tell)
        installation.supervise(until=directed.done)
        return directed.result(timeout=0)


def _direct(installation: Installation, plan: Plan, tell: Callable[[str], None]) -> Outcome:
    began = time.monotonic()
    wait_until(lambda: _is_ready(installation), _READY_S, "all processes to be ready")
    with closing(Door([*installation.api_ports.values()], API_KEY, NAMESPACE)) as door:
        load = Load(door, plan.seed, plan.rate_per_s)
        load.prepare()
        load.start()
        random = Random(plan.seed)
        scene = Scene(installation, load, random, plan)
        struck = []
        for number, kind in enumerate(schedule(plan, random), 1):
            fault = _strike(scene, kind)
            struck.append(fault)
            tell(
                f"{number:3}  {kind.name}: {fault.target}, {fault.in_flight} in flight, "
                f"healed after {fault.recovery_s(load.first_sights):.1f} s"
            )
        _finish(door, load, plan)
        evidence = gather(door, load, installation.ledger_path)
        refused = installation.stale_writes_refused()
        tell("everything has ended; now without the fence")
        return Outcome(
            plan=plan,
            submitted=len(evidence.answers),
            documents=len(evidence.acknowledged.documents),
            seconds=time.monotonic() - began,
            struck=[(fault, fault.recovery_s(load.first_sights)) for fault in struck],
            verdict=judge(evidence),
            stale_writes_refused=refused,
            unfenced=run_unfenced(installation, door, plan),
        )


def _is_ready(installation: Installation) -> bool:
    for port in installation.api_ports.values():
        with Readiness(f"http://127.0.0.1:{port}") as ready:
            if not ready():
                return False
    return installation.is_complete()


def _strike(scene: Scene, kind: Kind) -> Struck:
    """Returns when all that the fault hit has ended, or should have long ago."""
    load = scene.load
    _wait(lambda: len(load.in_flight()) >= _WARM, _WARM_WITHIN_S)
    Event().wait(scene.random.uniform(0, 1))  # so that it strikes at any moment
    in_flight = len(load.in_flight())
    target = kind.strike(scene)
    over_at_s = time.time()
    hit = load.in_flight()
    following = wait_until(lambda: load.accepted_since(over_at_s), _RECOVERED_WITHIN_S, "an accepted submit")
    fault = Struck(kind, target, in_flight, over_at_s, frozenset({*hit, following}))
    _wait(lambda: fault.execution_ids <= load.first_sights.keys(), _RECOVERED_WITHIN_S)
    return fault


def _wait(predicate: Callable[[], bool], timeout_s: float) -> None:
    """Until it is true or the time is over; both are fine."""
    ends_at = time.monotonic() + timeout_s
    wait_until(lambda: predicate() or time.monotonic() > ends_at, timeout_s + 1, "the end of a wait")


def _finish(door: Door, load: Load, plan: Plan) -> None:
    """Let the load reach its size, and everything come to its end."""
    wait_until(
        lambda: len(load.acknowledged.executions) >= plan.executions,
        plan.executions / plan.rate_per_s + _END_WITHIN_S,
        f"{plan.executions} executions",
    )
    load.stop()
    wait_for_the_end(door, load, _END_WITHIN_S)
    load.stop_watching()
