"""What is repeated and what is not, kept connections, and errors by their class."""

from __future__ import annotations

import socket
import threading

import pytest

from client import (
    ApiError,
    Kennel,
    KennelError,
    NoAnswer,
    NotConfigured,
    NotFound,
    Timeouts,
    Unavailable,
    errors,
    transport,
)
from client.transport import Transport, _backoff_s, _is_ended
from tests.unit.client.fake_server import API_KEY, Reply, at, execution, fake_server, refusal
from tests.waiting import wait_until


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Durations that the transport would have slept (s)."""
    slept: list[float] = []

    def sleep(self: Transport, duration_s: float) -> bool:
        slept.append(duration_s)
        return True

    monkeypatch.setattr(Transport, "sleep", sleep)
    return slept


@pytest.mark.parametrize("status", [429, 503, 504])
def test_a_submit_is_repeated_with_its_idempotency_key(status: int, sleeps: list[float]) -> None:
    with fake_server(refusal(status), Reply(cut=True), at(1)) as server, server.client() as kennel:
        assert kennel.submit("books", {"query": "x"}).execution_id == "exec_1"
    keys = [asked.headers["Idempotency-Key"] for asked in server.asked]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert [asked.body for asked in server.asked] == [{"inputs": {"query": "x"}}] * 3


def test_retry_after_is_honoured(sleeps: list[float]) -> None:
    busy = Reply(503, {}, {"Retry-After": "7"})
    with fake_server(busy, at(1)) as server, server.client() as kennel:
        kennel.get("books", "exec_1")
    assert sleeps == [7.0]


def test_it_is_not_waited_longer_than_repeats_may_take(sleeps: list[float]) -> None:
    too_long = Reply(503, {}, {"Retry-After": "11"})
    with fake_server(too_long, at(1)) as server, server.client() as kennel, pytest.raises(Unavailable):
        kennel.get("books", "exec_1")
    assert sleeps == []


def test_a_create_is_sent_once(sleeps: list[float]) -> None:
    with fake_server(refusal(503), Reply(cut=True)) as server, server.client() as kennel:
        with pytest.raises(Unavailable):
            kennel.retrievers.create({"retriever_name": "books"})
        with pytest.raises(NoAnswer):
            kennel.retrievers.create({"retriever_name": "books"})
    assert len(server.asked) == 2
    assert sleeps == []


def test_other_refusals_are_not_repeated(sleeps: list[float]) -> None:
    with fake_server(refusal(404)) as server, server.client() as kennel, pytest.raises(NotFound):
        kennel.get("books", "exec_1")
    assert sleeps == []


def test_a_server_that_is_not_there_is_given_up() -> None:
    with (
        Kennel("http://127.0.0.1:1", api_key=API_KEY, timeouts=Timeouts(retry_s=0)) as kennel,
        pytest.raises(NoAnswer, match=r"http://127\.0\.0\.1:1 gave no answer"),
    ):
        kennel.get("books", "exec_1")


def test_a_connection_is_kept() -> None:
    with fake_server(at(1), at(2), at(3)) as server, server.client() as kennel:
        for _ in range(3):
            kennel.get("books", "exec_1")
        assert len(kennel._transport._open) == 1


@pytest.mark.parametrize("torn_at", [0, 10])
def test_an_answer_that_breaks_off_is_none(sleeps: list[float], torn_at: int) -> None:
    with fake_server(Reply(200, execution(), torn_at=torn_at), at(3)) as server, server.client() as kennel:
        assert kennel.get("books", "exec_1").revision == 3


def test_a_connection_that_the_server_ended_is_not_used_again() -> None:
    """Else a create, which is sent once, would fail after each pause."""
    created = Reply(200, {"retriever_id": "ret_1", "retriever_name": "books", "created_at": "now"})
    with fake_server(Reply(200, execution(), hang_up=True), created) as server, server.client() as kennel:
        kennel.get("books", "exec_1")
        [connection] = kennel._transport._idle
        wait_until(lambda: _is_ended(connection), 5, "the server's end of the connection")
        assert kennel.retrievers.create({}).resource_id == "ret_1"


def test_close_ends_a_request_that_is_held() -> None:
    held = threading.Event()
    raised: list[KennelError] = []

    def ask() -> None:
        try:
            kennel.get("books", "exec_1")
        except KennelError as error:
            raised.append(error)

    with fake_server(Reply(200, execution(), held=held)) as server:
        kennel = server.client()
        thread = threading.Thread(target=ask)
        thread.start()
        wait_until(lambda: server.asked, 5, "the request")
        kennel.close()
        thread.join(5)
        assert not thread.is_alive()
        held.set()
    assert [type(error) for error in raised] == [NoAnswer]


def test_a_closed_client_says_so() -> None:
    with fake_server() as server:
        kennel = server.client()
        kennel.close()
        with pytest.raises(NoAnswer, match="make a new one"):
            kennel.get("books", "exec_1")


def test_a_connection_that_is_made_while_the_client_is_closed_is_closed_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[socket.socket] = []
    connect = socket.create_connection
    with fake_server() as server:
        kennel = server.client()

        def close_meanwhile(address: tuple[str, int], timeout_s: float) -> socket.socket:
            kennel.close()
            made.append(connect(address, timeout_s))
            return made[-1]

        monkeypatch.setattr(socket, "create_connection", close_meanwhile)
        with pytest.raises(NoAnswer, match="make a new one"):
            kennel.get("books", "exec_1")
    assert [each.fileno() for each in made] == [-1]


@pytest.mark.parametrize(("status", "error_class"), sorted(errors._BY_STATUS.items()))
def test_a_refusal_is_an_error_of_its_own_class(
    status: int, error_class: type[ApiError], sleeps: list[float]
) -> None:
    reply = refusal(status, "the reason", place="here")
    with (
        fake_server(reply) as server,
        server.client(timeouts=Timeouts(retry_s=0)) as kennel,
        pytest.raises(ApiError, match="the reason") as raised,
    ):
        kennel.get("books", "exec_1")
    assert type(raised.value) is error_class
    assert (raised.value.status, raised.value.code) == (status, "some_code")
    assert raised.value.details == {"place": "here"}


@pytest.mark.parametrize("body", [b"<html>Bad gateway", b"[]", b'{"error": "text"}'])
def test_an_error_of_somebody_else_says_so(body: bytes) -> None:
    with (
        fake_server(Reply(502, body)) as server,
        server.client() as kennel,
        pytest.raises(ApiError, match="answered 502 without Kennel's error body") as raised,
    ):
        kennel.get("books", "exec_1")
    assert raised.value.status == 502


@pytest.mark.parametrize("body", [b"<html>Welcome", b"[]", b"{}", b'{"status": 1}'])
def test_an_answer_of_somebody_else_says_so(body: bytes) -> None:
    with (
        fake_server(Reply(200, body)) as server,
        server.client() as kennel,
        pytest.raises(NoAnswer, match="check the URL"),
    ):
        kennel.get("books", "exec_1")


def test_every_request_has_the_key_and_the_namespace() -> None:
    with fake_server(at(1)) as server, server.client() as kennel:
        kennel.get("books/of mine", "exec_1")
    [asked] = server.asked
    assert asked.path == "/v1/retrievers/books%2Fof%20mine/executions/exec_1"
    assert asked.headers["Authorization"] == f"Bearer {API_KEY}"
    assert asked.headers["X-Namespace"] == "ns"


def test_a_line_break_does_not_become_a_header() -> None:
    with fake_server(at(1)) as server, server.client() as kennel:
        with pytest.raises(NotConfigured, match="line break"):
            kennel.submit("books", {}, idempotency_key="a\r\nX-Namespace: other")
        assert server.asked == []


def test_an_answer_that_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_MAX_BYTES", 100)
    client_options = {"timeouts": Timeouts(retry_s=0)}
    with (
        fake_server(at(1)) as server,
        server.client(**client_options) as kennel,
        pytest.raises(NoAnswer, match="over 100 bytes"),
    ):
        kennel.get("books", "exec_1")


def test_waits_grow_to_a_bound() -> None:
    assert [_backoff_s(attempt, lambda: 1.0) for attempt in (0, 1, 2, 9)] == [0.2, 0.4, 0.8, 5.0]
