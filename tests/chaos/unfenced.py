"""The proof that the suite can fail: the same installation with the fence taken out of its functions."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event

from shared import scripts
from tests.chaos.door import Door
from tests.chaos.evidence import gather, wait_for_the_end
from tests.chaos.installation import Installation
from tests.chaos.ledger import read_ledger
from tests.chaos.load import Load
from tests.chaos.plan import STAGES, Plan, Work
from tests.chaos.referee import judge
from tests.waiting import wait_until

_FENCES = {
    "int(record.epoch) ~= args[2]": "false",  # progress, finish, release
    "seen[2] ~= args[2]": "false",  # checkpoint
    "seen[2] == args[i + 1]": "true",  # heartbeat
}
_EXECUTIONS = 16
_FIRST_NUMBER = 1_000_000  # above all numbers of the run before
_START_WITHIN_S = 30.0
_END_WITHIN_S = 90.0


def unfenced(source: str) -> str:
    """The library of functions without the comparison of epochs, so that any attempt may write."""
    for fence, hole in _FENCES.items():
        assert fence in source, f"no {fence!r} in the library: say here what the fence is now"
        source = source.replace(fence, hole)
    return source


def run_unfenced(installation: Installation, door: Door, plan: Plan) -> Sequence[str]:
    """What the referee calls doubled when a frozen worker wakes up while others run its executions.

    The holed library goes into the server under the name of the real one, so no process knows of it. Nobody
    can use the installation for anything else afterwards.
    """
    installation.load_functions(unfenced(scripts.library_source()))
    load = Load(door, plan.seed, plan.rate_per_s)
    load.start_watching()
    # The frozen attempts have two stages to go when they wake up, the new ones nearly three.
    stage_ms = int(plan.lease_s * 500)
    for number in range(_FIRST_NUMBER, _FIRST_NUMBER + _EXECUTIONS):
        load.submit(Work(number, (stage_ms,) * STAGES, fails=False, is_cancelled=False))
    wait_until(
        lambda: load.acknowledged.executions.keys() <= read_ledger(installation.ledger_path).keys(),
        _START_WITHIN_S,
        "all to have started",
    )
    victim = installation.thread_workers[0]
    wait_until(lambda: installation.freeze(victim), _START_WITHIN_S, f"{victim} to be alive")
    Event().wait(plan.lease_s * 1.3)
    installation.revive(victim)
    wait_for_the_end(door, load, _END_WITHIN_S)
    load.stop_watching()
    return judge(gather(door, load, installation.ledger_path)).doubled
