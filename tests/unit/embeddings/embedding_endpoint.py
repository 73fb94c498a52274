"""A server that speaks POST /embeddings on a port of its own, counts, and fails as it is told."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

DIMENSIONS = 4
Reply = Callable[["_Handler"], None]


@dataclass
class Endpoint:
    """`replies` are given first, one per request; then every request is answered well."""

    base_url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    replies: deque[Reply] = field(default_factory=deque)
    connections: int = 0

    @property
    def texts(self) -> list[list[str]]:
        return [request["input"] for request in self.requests]


def vector_of(text: str) -> list[float]:
    """Another direction for every text of the tests."""
    return [float(len(text)), float(ord(text[0])), float(ord(text[-1])), -2.5]


def answer_to(texts: list[str]) -> list[dict[str, Any]]:
    return [
        {"object": "embedding", "index": index, "embedding": vector_of(text)}
        for index, text in enumerate(texts)
    ]


def says(status: int, body: bytes = b"", **headers: str) -> Reply:
    def reply(handler: _Handler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def gives(data: list[dict[str, Any]]) -> Reply:
    return says(200, orjson.dumps({"object": "list", "data": data}))


@contextmanager
def running_endpoint() -> Iterator[Endpoint]:
    """The server; it ends with the block."""
    endpoint = Endpoint()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.endpoint = endpoint
    endpoint.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    endpoint: Endpoint

    def get_request(self) -> Any:
        self.endpoint.connections += 1
        return super().get_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    server: _Server

    def do_POST(self) -> None:
        endpoint = self.server.endpoint
        request = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        endpoint.paths.append(self.path)
        endpoint.headers.append(dict(self.headers))
        endpoint.requests.append(request)
        try:
            reply = endpoint.replies.popleft()
        except IndexError:
            reply = gives(answer_to(request["input"]))
        reply(self)

    def log_message(self, *_: object) -> None:
        """Not on the tests' output."""
