"""A TCP proxy in front of Redis that can cut, silence and refuse connections. One thread, one loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, TypeVar

Half = Literal["request", "reply"]
T = TypeVar("T")
_CHUNK_BYTES = 65_536
_CALL_TIMEOUT_S = 10.0


@dataclass(eq=False)
class _Link:
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    cut_at_next: Half | None = None
    is_silent: bool = False
    pumps: list[asyncio.Task[None]] = field(default_factory=list)

    def abort(self) -> None:
        """Both ends are reset at once."""
        for writer in (self.client, self.server):
            writer.transport.abort()


class Proxy:
    """Listens on a port of its own and passes everything on to the port of the server."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._links: set[_Link] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self.port = 0

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._call(self._listen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self._call(self._settle)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_TIMEOUT_S)
        self._loop.close()

    # What faults ask for

    def cut_in_the_middle(self, half: Half, within_s: float) -> int:
        """Cut every connection in the middle of its next request or reply; idle ones after `within_s`.

        Returns how many were cut when all of them are.
        """

        marked = self.mark(half)
        threading.Event().wait(within_s)
        self._loop.call_soon_threadsafe(lambda: [link.abort() for link in marked])
        return len(marked)

    def mark(self, half: Half) -> list[_Link]:
        """Each of the present connections will be cut in the middle of its next request or reply."""

        async def mark() -> list[_Link]:
            for link in self._links:
                link.cut_at_next = half
            return list(self._links)

        return self._call(mark)

    def silence(self) -> int:
        """From now on the present connections carry nothing and stay open; new ones work. How many."""

        async def silence() -> int:
            for link in self._links:
                link.is_silent = True
            return len(self._links)

        return self._call(silence)

    def refuse(self) -> None:
        """Cut every connection and accept no new one, until `accept`."""

        async def refuse() -> None:
            if self._listener is not None:
                self._listener.close()
                self._listener = None
            for link in list(self._links):
                link.abort()

        self._call(refuse)

    def accept(self) -> None:
        """Accept connections again, on the same port."""
        self._call(self._listen)

    # Inside of the loop

    def _call(self, make: Callable[[], Awaitable[T]], timeout_s: float = _CALL_TIMEOUT_S) -> T:
        async def run() -> T:
            return await make()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(timeout_s)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _settle(self) -> None:
        pumps = [pump for link in self._links for pump in link.pumps]
        await asyncio.gather(*pumps, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            back, server = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            client.transport.abort()
            return
        link = _Link(client, server)
        self._links.add(link)
        link.pumps = [
            asyncio.create_task(self._pump(link, "request", reader, server)),
            asyncio.create_task(self._pump(link, "reply", back, client)),
        ]
        await asyncio.wait(link.pumps)
        self._links.discard(link)

    async def _pump(
        self, link: _Link, half: Half, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while chunk := await reader.read(_CHUNK_BYTES):
                if link.is_silent:
                    continue
                if link.cut_at_next == half:
                    writer.write(chunk[: len(chunk) // 2])
                    await writer.drain()
                    return
                writer.write(chunk)
                await writer.drain()
        except OSError:
            return  # one end is gone; so is the link
        finally:
            if not link.is_silent:
                link.abort()
