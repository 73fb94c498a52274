"""One POST: to the address that was checked, no further, and never longer than it may take."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.outbound.addresses import AllowList, parse_allow_list
from shared.outbound.errors import OutboundFailed, OutboundRefused
from shared.outbound.guard import OutboundGuard
from shared.outbound.http import Response, post
from shared.outbound.urls import parse_url
from tests.receivers import http_receiver
from tests.servers import free_port

OPEN = OutboundGuard(parse_allow_list("127.0.0.1"))


def send(url: str, guard: OutboundGuard = OPEN, timeout_s: float = 10) -> Response:
    return post(parse_url(url), {"X-One": "1"}, b"{}", guard, timeout_s=timeout_s, keep_bytes=9)


@contextmanager
def dripping() -> Iterator[str]:
    """A server that sends a byte of an endless header whenever the client has had time to ask for more."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            try:
                while not ended.wait(0.05):
                    connection.sendall(b"x")
            except OSError:
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        thread.join()
        listener.close()


def test_the_answer_is_read_as_far_as_asked() -> None:
    with http_receiver() as receiver:
        receiver.answers = [(201, {"Retry-After": "7"})]
        answer = send(f"{receiver.url}/in?a=b#part")
    assert (answer.status_code, answer.headers["retry-after"], answer.start) == (201, "7", b"seen xxxx")
    [received] = receiver.received
    assert (received.path, received.headers["x-one"], received.body) == ("/in?a=b", "1", b"{}")


def test_a_redirect_is_not_followed() -> None:
    with http_receiver() as receiver:
        receiver.answers = [(302, {"Location": f"{receiver.url}/other"})]
        assert send(receiver.url).status_code == 302
    assert len(receiver.received) == 1


def test_an_internal_address_is_never_connected_to() -> None:
    with http_receiver() as receiver:
        for url in (receiver.url, receiver.url.replace("127.0.0.1", "localhost")):
            with pytest.raises(OutboundRefused):
                send(url, OutboundGuard(AllowList()))
    assert receiver.received == []


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_receiver() as receiver, http_receiver() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        assert send(receiver.url).status_code == 200
    assert (len(receiver.received), proxy.received) == (1, [])


def test_drops_that_keep_coming_do_not_add_up() -> None:
    with dripping() as url, pytest.raises(OutboundFailed, match=r"no answer within 0\.3 s"):
        send(url, timeout_s=0.3)


def test_a_port_that_nobody_listens_on_fails_without_its_url() -> None:
    with pytest.raises(OutboundFailed) as failed:
        send(f"http://127.0.0.1:{free_port()}/hidden")
    assert "hidden" not in str(failed.value)
