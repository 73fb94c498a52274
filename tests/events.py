"""Reading `text/event-stream` in tests, and what the events say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson


@dataclass(frozen=True)
class Event:
    """One event: its id, and its data parsed."""

    event_id: str
    data: dict[str, Any]

    @property
    def type(self) -> str:
        kind: str = self.data["event_type"]
        return kind

    @property
    def brief(self) -> tuple[str, Any]:
        """Its type, and the stage or status that it is about."""
        return self.type, self.data.get("stage_name", self.data.get("status"))


def events_of(answer: httpx.Response) -> Iterator[Event]:
    """As they come; comments and `retry` are left out."""
    event_id = ""
    for line in answer.iter_lines():
        if line.startswith("id: "):
            event_id = line.removeprefix("id: ")
        elif line.startswith("data: "):
            yield Event(event_id, orjson.loads(line.removeprefix("data: ")))


@contextmanager
def following(client: httpx.Client, path: str, last_event_id: str | None = None) -> Iterator[Iterator[Event]]:
    """The events of a path from now on, or from behind one of them."""
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        yield events_of(answer)


@contextmanager
def executing(
    client: httpx.Client, path: str, **body: Any
) -> Iterator[tuple[httpx.Response, Iterator[Event]]]:
    """An execute with `stream: true`."""
    with client.stream("POST", path, json={**body, "stream": True}) as answer:
        assert answer.status_code == 200, answer.read()
        yield answer, events_of(answer)
