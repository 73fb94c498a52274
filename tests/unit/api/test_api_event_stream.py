"""An endless answer and its client: one that leaves, one that is too slow, and a process that stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from typing import Any

import pytest

from api import event_stream
from api.event_stream import EventStream, OpenStreams
from shared.errors import LimitExceeded, Unavailable


class Client:
    """Takes what is sent; `leave` is what a closed connection looks like to the server."""

    def __init__(self, *, is_stuck: bool = False) -> None:
        self.sent: list[dict[str, Any]] = []
        self.has_frame = asyncio.Event()
        self.leave = asyncio.Event()
        self._is_stuck = is_stuck

    async def receive(self) -> dict[str, Any]:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(dict(message))
        if message.get("more_body"):
            self.has_frame.set()
            if self._is_stuck:
                await asyncio.Event().wait()


async def ticking(*, then_fail: bool = False) -> AsyncGenerator[bytes]:
    yield b"one"
    if then_fail:
        raise ZeroDivisionError
    await asyncio.Event().wait()


async def ending() -> AsyncGenerator[bytes]:
    yield b"one"
    yield b"two"


def stream(streams: OpenStreams, frames: AsyncGenerator[bytes]) -> EventStream:
    slot = ExitStack()
    slot.enter_context(streams.slot())
    return EventStream(frames, [], slot, streams)


def bodies(client: Client) -> list[tuple[bytes, bool]]:
    return [(each["body"], each.get("more_body", False)) for each in client.sent[1:]]


def test_it_ends_with_its_frames() -> None:
    async def check() -> None:
        client, streams = Client(), OpenStreams(1)
        await stream(streams, ending()).send(client.receive, client.send)
        assert bodies(client) == [(b"one", True), (b"two", True), (b"", False)]
        with streams.slot():  # the room is free again
            pass

    asyncio.run(check())


def test_a_client_that_leaves_is_sent_nothing_more() -> None:
    async def check() -> None:
        client, streams = Client(), OpenStreams(1)
        sending = asyncio.create_task(stream(streams, ticking()).send(client.receive, client.send))
        await client.has_frame.wait()
        client.leave.set()
        await sending
        assert bodies(client) == [(b"one", True)]
        with streams.slot():
            pass

    asyncio.run(check())


def test_a_client_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "_SEND_TIMEOUT_S", 0.01)

    async def check() -> None:
        client = Client(is_stuck=True)
        await stream(OpenStreams(1), ticking()).send(client.receive, client.send)
        assert bodies(client) == [(b"one", True)]

    asyncio.run(check())


def test_a_stop_ends_what_is_open_and_begins_no_more() -> None:
    async def check() -> None:
        client, streams = Client(), OpenStreams(2)
        sending = asyncio.create_task(stream(streams, ticking()).send(client.receive, client.send))
        await client.has_frame.wait()
        streams.stop()
        await sending
        assert bodies(client) == [(b"one", True), (b"", False)]
        with pytest.raises(Unavailable), streams.slot():
            pass

    asyncio.run(check())


def test_a_fault_ends_the_answer_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        client = Client()
        await stream(OpenStreams(1), ticking(then_fail=True)).send(client.receive, client.send)
        assert bodies(client) == [(b"one", True), (b"", False)]

    asyncio.run(check())
    assert "ZeroDivisionError" in caplog.text


def test_there_is_room_for_so_many() -> None:
    streams = OpenStreams(2)
    with streams.slot(), streams.slot():
        with pytest.raises(LimitExceeded) as refused, streams.slot():
            pass
        assert refused.value.details == {"retry_after_seconds": 5, "limit": 2}
    with streams.slot():
        pass
