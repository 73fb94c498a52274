"""The faults. Each function strikes, and returns when its fault is over, saying what it struck."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from shared import keys
from shared.broker import message_template
from tests.chaos.installation import REDIS, SWEEPER, Installation
from tests.chaos.load import Load
from tests.chaos.plan import Plan
from tests.waiting import wait_until

_START_S = 30.0  # for a process to be there again after it was struck before
_CUT_WITHIN_S = 0.5
_DOUBLED_MAX = 20
_MINUTE_S = 60.0
_CLOCK_OFF_S = 4.0


@dataclass(frozen=True)
class Scene:
    """What a fault may look at and strike."""

    installation: Installation
    load: Load
    random: Random
    plan: Plan


@dataclass(frozen=True)
class Kind:
    """A kind of fault."""

    name: str
    strike: Callable[[Scene], str]
    leaves_a_worker: bool = True


def _until_struck(strike: Callable[[], bool], what: str) -> str:
    wait_until(strike, _START_S, f"{what} to be alive")
    return what


def kill_worker(scene: Scene) -> str:
    name = scene.random.choice(scene.installation.thread_workers)
    return _until_struck(lambda: scene.installation.kill(name), name)


def kill_sweeper(scene: Scene) -> str:
    """A main process that runs nothing itself, only sweeps and feeds its children."""
    return _until_struck(lambda: scene.installation.kill(SWEEPER), f"{SWEEPER} main")


def kill_pool_child(scene: Scene) -> str:
    return _until_struck(lambda: scene.installation.kill_child(SWEEPER), f"{SWEEPER} child")


def kill_api(scene: Scene) -> str:
    name = scene.random.choice(scene.installation.apis)
    return _until_struck(lambda: scene.installation.kill(name), name)


def kill_all_workers(scene: Scene) -> str:
    for name in scene.installation.workers:
        _until_struck(lambda name=name: scene.installation.kill(name), name)  # type: ignore[misc]
    return f"{len(scene.installation.workers)} workers"


def kill_redis(scene: Scene) -> str:
    """Over when the server answers again."""
    _until_struck(lambda: scene.installation.kill(REDIS), REDIS)
    wait_until(scene.installation.answers, _START_S, "Redis to answer")
    return REDIS


def cut_requests(scene: Scene) -> str:
    return f"{scene.installation.proxy.cut_in_the_middle('request', _CUT_WITHIN_S)} connections"


def cut_replies(scene: Scene) -> str:
    return f"{scene.installation.proxy.cut_in_the_middle('reply', _CUT_WITHIN_S)} connections"


def silence_connections(scene: Scene) -> str:
    """As a firewall does that forgets connections: nobody is told. Workers sit idle until they notice."""
    return f"{scene.installation.proxy.silence()} connections"


def freeze_worker(scene: Scene) -> str:
    """Longer than its lease and the sweep after it, so that others have taken over."""
    name = scene.random.choice(scene.installation.thread_workers)
    _until_struck(lambda: scene.installation.freeze(name), name)
    _last(scene.plan.lease_s * 1.3)
    scene.installation.revive(name)
    return name


def double_messages(scene: Scene) -> str:
    """The messages of executions in flight, waiting or running, once more."""
    doubled = 0
    with scene.installation.server() as server:
        for execution_id in sorted(scene.load.in_flight())[:_DOUBLED_MAX]:
            queue, seq, shadow = server.hmget(keys.execution(execution_id), "queue", "seq", "shadow")
            if queue is None:
                continue  # it has ended just now
            message = message_template()
            for place, value in (
                ("@ID@", execution_id),
                ("@SEQ@", seq.decode()),
                ("@SHADOW@", shadow.decode()),
            ):
                message = message.replace(place, value)
            server.rpush(queue, message)
            doubled += 1
    return f"{doubled} messages"


def clock_off(scene: Scene) -> str:
    """One process, a minute ahead or behind for some seconds, and then right again."""
    installation = scene.installation
    name = scene.random.choice([*installation.workers, *installation.apis])
    by_s = scene.random.choice([-_MINUTE_S, _MINUTE_S])
    installation.clocks[name].put_off(by_s)
    _last(_CLOCK_OFF_S)
    installation.clocks[name].put_off(0)
    return f"{name} {by_s:+g} s"


def _outage(seconds: float) -> Callable[[Scene], str]:
    def strike(scene: Scene) -> str:
        """The server is killed, and cannot be reached until the time is over."""
        scene.installation.proxy.refuse()
        _until_struck(lambda: scene.installation.kill(REDIS), REDIS)
        _last(seconds)
        wait_until(scene.installation.answers, _START_S, "Redis to answer")
        scene.installation.proxy.accept()
        return REDIS

    return strike


def _last(seconds: float) -> None:
    """How long a fault lasts is part of it."""
    threading.Event().wait(seconds)


_SHORT = (
    Kind("kill a worker", kill_worker),
    Kind("kill a pool child", kill_pool_child),
    Kind("kill the sweeper's process", kill_sweeper),
    Kind("kill the API", kill_api),
    Kind("kill Redis", kill_redis),
    Kind("cut requests", cut_requests),
    Kind("cut replies", cut_replies),
    Kind("silence connections", silence_connections),
    Kind("double messages", double_messages),
    Kind("clock off by a minute", clock_off),
)
_LONG = (
    Kind("freeze a worker", freeze_worker),
    Kind("kill all workers", kill_all_workers, leaves_a_worker=False),
)


def schedule(plan: Plan, random: Random) -> list[Kind]:
    """Every kind once, then any again but the outages, until there are enough; in random order.

    A plan with fewer faults than kinds has the freeze, its outages, and some of the short ones.
    """
    outages = [Kind(f"outage of {seconds:g} s", _outage(seconds)) for seconds in plan.outages_s]
    chosen = [*_LONG[:1], *outages, *random.sample(_SHORT, k=len(_SHORT)), *_LONG[1:]][: plan.faults]
    chosen += random.choices((*_SHORT, *_LONG), k=plan.faults - len(chosen))
    random.shuffle(chosen)
    return chosen
