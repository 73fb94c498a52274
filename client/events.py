"""An execution as its events tell of it (docs/watching.md), read from the lines of `text/event-stream`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from client.errors import NoAnswer
from client.models import Execution

_WHOLE = frozenset(("resync", "execution_complete", "execution_error"))  # the execution as GET shows it


@dataclass(frozen=True, slots=True)
class Event:
    """One event. Its id is the revision and a number within it, or `end`."""

    event_id: str
    data: Mapping[str, Any]

    @property
    def type(self) -> str:
        kind: str = self.data["event_type"]
        return kind

    @property
    def revision(self) -> int | None:
        """None of the last one, and of what has no id."""
        number = self.event_id.partition("-")[0]
        return int(number) if number.isdecimal() else None


def events_of(lines: Iterable[bytes]) -> Iterator[Event]:
    """What the lines say (HTML standard, 9.2.6); comments and unknown fields say nothing.

    Raises:
        ValueError: the data of one is not JSON.
    """
    event_id = ""
    for line in lines:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"id":
            event_id = value.decode()
        elif name == b"data":  # Kennel writes one such line for each event
            yield Event(event_id, orjson.loads(value))


class Follower:
    """Folds events into the execution that was known before them."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.last_event_id = ""  # from which another connection goes on
        self._base = execution.revision  # events up to it are in what was known

    def know(self, execution: Execution) -> None:
        """It was read otherwise."""
        self.execution, self._base = execution, execution.revision

    def changes(self, lines: Iterable[bytes]) -> Iterator[Execution]:
        """The execution after each event that moves it: a stage's end shows with the start of the next.

        Raises:
            NoAnswer: these are no events of Kennel, or as `lines`.
        """
        try:
            yield from self._changes(events_of(lines))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise NoAnswer(f"the events are not Kennel's ({error!r}); check the URL") from error

    def _changes(self, events: Iterable[Event]) -> Iterator[Execution]:
        for event in events:
            self.last_event_id = event.event_id
            if event.type in _WHOLE:
                members = {name: value for name, value in event.data.items() if name != "event_type"}
                known = self.execution.revision
                self.know(Execution.of(members, f'"{members["revision"]}"'))
                if self.execution.is_terminal or self.execution.revision != known:
                    yield self.execution
            elif (event.revision or 0) > self._base:
                before, self.execution = self.execution, _after(self.execution, event)
                is_at_next = self.execution.current_stage != before.current_stage
                if event.type == "execution_status" or is_at_next:
                    yield self.execution


def _after(execution: Execution, event: Event) -> Execution:
    raw = {**execution.raw, "revision": event.revision}
    match event.type:
        case "execution_status":
            told = {name: value for name, value in event.data.items() if name != "event_type"}
            raw |= {"wait_reason": None, **told}
        case "stage_start":
            raw["current_stage"] = event.data["stage_name"]
        case "stage_complete" | "stage_error":
            statistics = raw["stage_statistics"]
            stages = {**statistics["stages"], event.data["stage_name"]: event.data["statistics"]}
            raw["stage_statistics"] = {**statistics, "stages": stages}
            raw["stages_completed"] = event.data["stage_index"] + 1
    return Execution.of(raw, f'"{event.revision}"')
