"""Loading the demo against an API that refuses or is not ready. (tests/acceptance loads it for real.)"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ops.demo import TRIES, load, quickstart
from shared.errors import KennelError, Unavailable

Answering = Callable[[int], AbstractContextManager[tuple[str, list[str]]]]


@pytest.fixture
def answering() -> Answering:
    """A server that gives every request the same status; yields its URL and the paths asked for."""

    @contextmanager
    def serve(status: int) -> Iterator[tuple[str, list[str]]]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                body = b'{"success": false, "error": {"message": "not today"}}'
                self.send_response(status)
                self.send_header("Retry-After", "0")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}", asked
            finally:
                server.shutdown()
                thread.join()

    return serve


@pytest.mark.parametrize("status", [429, 503, 504])
def test_a_temporary_refusal_is_retried_a_bounded_number_of_times(answering: Answering, status: int) -> None:
    with answering(status) as (url, asked):
        with pytest.raises(Unavailable, match=rf"failed {TRIES} times, at last with {status} \(not today\)"):
            load(url, "sk_any", print)
        assert asked == ["/v1/namespaces/demo"] * TRIES


def test_a_final_refusal_is_told_with_its_reason_and_not_retried(answering: Answering) -> None:
    with answering(401) as (url, asked):
        with pytest.raises(KennelError, match=r"GET /v1/namespaces/demo was refused: 401 \(not today\)"):
            load(url, "sk_wrong", print)
        assert len(asked) == 1


def test_the_quickstart_quotes_the_key_file() -> None:
    lines = quickstart("http://127.0.0.1:8000", Path("/with space/api_key"))
    assert "KEY=$(cat '/with space/api_key')" in lines
    assert "URL=http://127.0.0.1:8000/v1/retrievers/search_python_docs" in lines
