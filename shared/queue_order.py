"""In which order a worker asks the queues: the highest class first, and now and then the lowest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.broker import QUEUE_INTERACTIVE, QUEUES

# One of so many looks begins with the lowest class: a higher one that never ends does not keep it waiting.
_FROM_BELOW_EACH = 8


def queues_in_turn(look: int) -> Sequence[str]:
    """The queues of executions for the look of this number, first the one to take from."""
    return QUEUES[::-1] if look % _FROM_BELOW_EACH == _FROM_BELOW_EACH - 1 else QUEUES


class InOrder:
    """What kombu asks before each BRPOP (`queue_order_strategy`, see kombu.utils.scheduling)."""

    def __init__(self, queues: Iterable[str] = ()) -> None:
        self._looks = 0
        self._others: list[str] = []  # of wake-ups, which are few, bounded, and hold up more than themselves
        self.update(queues)

    def update(self, queues: Iterable[str]) -> None:
        """All queues that the worker consumes from."""
        self._active = set(queues)
        self._others = sorted(self._active - set(QUEUES))

    def consume(self, count: int) -> list[str]:
        """All of them in the order of this look; kombu's `count` is their number."""
        ours = [queue for queue in queues_in_turn(self._looks) if queue in self._active]
        at = 1 if ours[:1] == [QUEUE_INTERACTIVE] else 0
        return [*ours[:at], *self._others, *ours[at:]][:count]

    def rotate(self, last_used: str) -> str:
        """A message came from that queue."""
        self._looks += 1
        return last_used
