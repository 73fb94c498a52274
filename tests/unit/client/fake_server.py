"""A server of tests that answers from a script, in turn, and remembers what it was asked."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from client import Kennel, Timeouts

API_KEY = "sk_of_the_fake_server"


@dataclass(frozen=True)
class Reply:
    """What the server does with one request."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False  # close the connection instead of answering
    hang_up: bool = False  # close it, unannounced, after the answer
    torn_at: int | None = None  # … after so many bytes of its body
    held: threading.Event | None = None  # answer only when this is set


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class FakeServer:
    def __init__(self, replies: Sequence[Reply], base_url: str) -> None:
        self.replies = list(replies)
        self.base_url = base_url
        self.asked: list[Asked] = []

    def client(self, **over: Any) -> Kennel:
        options = {"api_key": API_KEY, "namespace": "ns", "timeouts": Timeouts(2, 10, 10), **over}
        return Kennel(self.base_url, **options)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle is no error here, and nothing for the command's stderr."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def fake_server(*replies: Reply) -> Iterator[FakeServer]:
    """Requests beyond the script are answered with 500."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            with lock:
                fake.asked.append(Asked(self.command, self.path, dict(self.headers.items()), body))
                reply = fake.replies.pop(0) if fake.replies else Reply(500)
            if reply.held is not None:
                reply.held.wait(20)
            self.close_connection = reply.cut or reply.hang_up or reply.torn_at is not None
            if not reply.cut:
                self._answer(reply)

        def _answer(self, reply: Reply) -> None:
            raw = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0" if reply.status == 304 else str(len(raw)))
            self.end_headers()
            if reply.status != 304:
                self.wfile.write(raw[: reply.torn_at])

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake = FakeServer(replies, f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def execution(status: str = "completed", revision: int = 1, **over: Any) -> dict[str, Any]:
    """The body of an execution."""
    return {
        "execution_id": "exec_1",
        "retriever_id": "ret_1",
        "status": status,
        "revision": revision,
        "attempt": 1,
        "current_stage": None,
        "stages_completed": 0,
        "total_stages": 1,
        "stage_statistics": {"stages": {}},
        "wait_reason": None,
        "error": None,
        "warnings": [],
        "documents": [],
        "pagination": {},
        **over,
    }


def at(revision: int, status: str = "processing", **over: Any) -> Reply:
    """The answer that an execution is at this revision."""
    return Reply(200, execution(status, revision, **over), {"ETag": f'"{revision}"'})


def refusal(status: int, message: str = "no", **details: Any) -> Reply:
    error = {"message": message, "type": "SomeError", "code": "some_code", "details": details}
    return Reply(status, {"success": False, "status": status, "error": error})
