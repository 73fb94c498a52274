"""Batches over HTTP, without a worker: uploads, repeats, limits, lists, and what others may see."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import redis

from shared import keys
from shared.broker import QUEUE_BULK
from shared.settings import Settings
from shared.stores.ledger import Ledger
from tests.conftest import API_KEY, serve
from tests.integration.api.answers import ok, places, refused, retriever
from tests.integration.record.conftest import outcome
from tests.waiting import wait_until

LINES_MAX = 10_000


@pytest.fixture
def made(api: httpx.Client, books: str) -> str:
    """Id of a retriever whose input `n` is an integer."""
    schema = {"n": {"type": "integer", "required": True}}
    created = ok(api.post("/v1/retrievers", json=retriever("lines", input_schema=schema)))
    retriever_id: str = created["retriever_id"]
    return retriever_id


def ndjson(*lines: Any) -> bytes:
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def numbered(first: int, last: int, **over: Any) -> bytes:
    return ndjson(*({"inputs": {"n": n}, "id": f"row-{n}", **over} for n in range(first, last + 1)))


def upload(
    api: httpx.Client, content: Any, made: str | None = None, key: str | None = None
) -> httpx.Response:
    headers = {"Content-Type": "application/x-ndjson"} | ({"Idempotency-Key": key} if key else {})
    query = {"retriever": made} if made else {}
    return api.post("/v1/batches", content=content, params=query, headers=headers)


def batch(api: httpx.Client, batch_id: str) -> dict[str, Any]:
    seen: dict[str, Any] = ok(api.get(f"/v1/batches/{batch_id}"))
    assert seen["submitted"] == sum(seen["counts"].values())
    return seen


def results(api: httpx.Client, batch_id: str, **query: Any) -> list[dict[str, Any]]:
    answer = api.get(f"/v1/batches/{batch_id}/results", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [orjson.loads(line) for line in answer.content.splitlines()]


def history(api: httpx.Client, made: str) -> int:
    total: int = ok(api.post(f"/v1/retrievers/{made}/executions/list"))["pagination"]["total"]
    return total


# Lines


def test_good_lines_are_accepted_and_bad_ones_named(api: httpx.Client, made: str) -> None:
    lines = [
        orjson.dumps({"inputs": {"n": 1}, "id": "first"}),
        b"{not json",
        orjson.dumps({"inputs": {"n": "many"}}),
        b"",
        orjson.dumps({"inputs": {"n": 2}, "retriever": "no such one"}),
        orjson.dumps([1]),
        orjson.dumps({"inputs": {"n": 3}, "id": 7}),
        orjson.dumps({"inputs": {"n": 4}, "filters": {"field": "year"}}),
        orjson.dumps({"inputs": {"n": 5}, "collection_identifiers": ["nowhere"]}),
        orjson.dumps({"inputs": {"n": 6}, "retriever": "lines", "collection_identifiers": ["books"]}),
    ]
    answer = upload(api, b"\n".join(lines), made)
    seen = ok(answer)
    assert answer.headers["location"] == f"/v1/batches/{seen['batch_id']}"
    assert (seen["lines"], seen["accepted"], seen["replayed"], seen["refused"]) == (9, 2, 0, 7)
    assert seen["complete"] is True
    codes = {each["line"]: each["error"]["code"] for each in seen["refused_lines"]}
    assert codes == {
        2: "invalid_json", 3: "invalid_input", 5: "not_found", 6: "invalid_input", 7: "invalid_input",
        8: "invalid_input", 9: "not_found",
    }  # fmt: skip
    assert "the line is not valid JSON" in seen["refused_lines"][0]["error"]["message"]
    assert "inputs.n" in seen["refused_lines"][1]["error"]["message"]
    assert [(row["line"], row["id"]) for row in results(api, seen["batch_id"])] == [(1, "first"), (10, None)]
    stored = batch(api, seen["batch_id"])
    assert (stored["submitted"], stored["refused"], stored["status"]) == (2, 7, "running")
    assert stored["refused_lines"] == seen["refused_lines"]


def test_a_line_needs_a_retriever_from_somewhere(api: httpx.Client, made: str) -> None:
    seen = ok(upload(api, numbered(1, 2) + numbered(3, 3, retriever=made)))
    assert (seen["accepted"], seen["refused"]) == (1, 2)
    assert places(seen["refused_lines"][0]["error"]) == [["retriever"]]


def test_an_execution_tells_its_batch_and_its_unknown_keys(api: httpx.Client, made: str) -> None:
    seen = ok(upload(api, b"\n" + numbered(1, 1, colour="red", limit=3), made))
    row = results(api, seen["batch_id"])[0]
    execution = ok(api.get(f"/v1/retrievers/{made}/executions/{row['execution_id']}"))
    assert (execution["batch_id"], execution["batch_line"]) == (seen["batch_id"], 2)
    assert execution["pagination"]["limit"] == 3
    assert execution["warnings"] == ["the key 'line.colour' is unknown and was ignored"]
    assert {"line": 2, "id": "row-1", "expired": False, **execution} == row


def test_an_empty_upload_is_an_empty_batch(api: httpx.Client, made: str) -> None:
    seen = ok(upload(api, b"", made))
    assert (seen["lines"], seen["accepted"], seen["complete"]) == (0, 0, True)
    stored = batch(api, seen["batch_id"])
    assert (stored["status"], stored["submitted"], stored["eta_s"]) == ("ended", 0, 0)
    assert results(api, seen["batch_id"]) == []


def test_a_line_that_is_too_long_is_refused_alone(api: httpx.Client, made: str) -> None:
    long = orjson.dumps({"inputs": {"n": 1, "text": "x" * 1_000_000}})
    seen = ok(upload(api, b"\n".join([orjson.dumps({"inputs": {"n": 1}}), long, numbered(2, 2)]), made))
    assert (seen["accepted"], seen["refused"]) == (2, 1)
    assert (seen["refused_lines"][0]["line"], seen["refused_lines"][0]["error"]["code"]) == (
        2,
        "line_too_long",
    )


def test_lines_over_ten_thousand_are_refused_and_the_first_hundred_named(
    api: httpx.Client, made: str
) -> None:
    skipped = b"\n" * (LINES_MAX - 3)  # blank lines count, so that a number is always the line's own
    seen = ok(upload(api, skipped + numbered(1, 150), made))
    assert (seen["lines"], seen["accepted"], seen["refused"]) == (150, 3, 147)
    assert [each["line"] for each in seen["refused_lines"]] == [LINES_MAX + n for n in range(1, 101)]
    assert {each["error"]["code"] for each in seen["refused_lines"]} == {"too_many_lines"}
    assert "another batch" in seen["refused_lines"][0]["error"]["message"]


def test_lines_in_many_small_chunks(api: httpx.Client, made: str) -> None:
    body = numbered(1, 200)

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(body), 37):
            yield body[start : start + 37]

    seen = ok(upload(api, chunks(), made))
    assert (seen["accepted"], seen["refused"]) == (200, 0)
    assert [row["id"] for row in results(api, seen["batch_id"])] == [f"row-{n}" for n in range(1, 201)]


# Repeats


def test_a_repeat_with_the_key_doubles_nothing(api: httpx.Client, made: str) -> None:
    first = ok(upload(api, numbered(1, 100), made, key="k"))
    again = ok(upload(api, numbered(1, 100), made, key="k"))
    assert (first["accepted"], first["replayed"]) == (100, 0)
    assert (again["accepted"], again["replayed"]) == (100, 100)
    assert again["batch_id"] == first["batch_id"]
    assert batch(api, first["batch_id"])["submitted"] == history(api, made) == 100


def test_a_repeat_adds_what_is_missing_and_refuses_what_is_different(api: httpx.Client, made: str) -> None:
    first = ok(upload(api, numbered(1, 10), made, key="k"))
    lines = numbered(1, 4) + ndjson({"inputs": {"n": 55}}) + numbered(6, 20)
    again = ok(upload(api, lines, made, key="k"))
    assert (again["accepted"], again["replayed"], again["refused"]) == (19, 9, 1)
    assert (again["refused_lines"][0]["line"], again["refused_lines"][0]["error"]["code"]) == (
        5, "idempotency_key_reused",
    )  # fmt: skip
    assert batch(api, first["batch_id"])["submitted"] == history(api, made) == 20


def test_the_order_of_a_lines_keys_is_no_difference(api: httpx.Client, made: str) -> None:
    upload(api, b'{"inputs": {"n": 1}, "id": "a"}', made, key="k")
    assert ok(upload(api, b' {"id":"a","inputs":{"n":1}}\n', made, key="k"))["replayed"] == 1


def test_a_key_belongs_to_its_default_retriever_and_namespace(
    root: httpx.Client, api: httpx.Client, made: str
) -> None:
    first = ok(upload(api, numbered(1, 1), made, key="k"))
    error = refused(upload(api, numbered(1, 1), "lines", key="k"), 422, "Idempotency-Key")
    assert error["code"] == "idempotency_key_reused"
    other = root.post("/v1/namespaces", json={"namespace_name": f"other-{secrets.token_hex(4)}"}).json()
    headers = {"X-Namespace": other["namespace_id"]}
    elsewhere = root.post(f"/v1/batches?retriever={made}", headers={**headers, "Idempotency-Key": "k"})
    assert ok(elsewhere)["batch_id"] != first["batch_id"]
    refused(upload(api, b"", made, key="k" * 256), 400, "Idempotency-Key")


def test_without_a_key_every_upload_is_a_batch(api: httpx.Client, made: str) -> None:
    uploads = [ok(upload(api, numbered(1, 3), made)) for _ in range(2)]
    assert uploads[0]["batch_id"] != uploads[1]["batch_id"]
    assert history(api, made) == 6


# Uploads that end early


@pytest.fixture
def small(settings: Settings, tmp_path: Path, published_catalogue: None, api: httpx.Client) -> Iterator[Any]:
    """Makes clients of the same namespace, at an API with other settings."""

    def client(**over: Any) -> Any:
        return serve(settings.model_copy(update=over))

    yield client


def of(url: str, api: httpx.Client) -> httpx.Client:
    return httpx.Client(base_url=url, headers=dict(api.headers), timeout=30)


def test_a_full_queue_ends_the_upload_and_a_repeat_with_the_key_finishes_it(
    api: httpx.Client, made: str, small: Any, redis_client: redis.Redis
) -> None:
    pending = redis_client.zcard(keys.pending(QUEUE_BULK))
    with small(queue_max=pending + 150) as url, of(url, api) as tight:
        error = refused(upload(tight, numbered(1, 400), made, key="k"), 429, "queue is full")
    details = error["details"]
    assert (details["accepted"], details["replayed"], details["refused"]) == (150, 0, 0)
    assert details["retry_after_seconds"] > 0
    assert "repeat it with the same Idempotency-Key" in error["message"]
    stored = batch(api, details["batch_id"])
    assert (stored["submitted"], stored["complete"], stored["status"]) == (150, False, "running")
    again = ok(upload(api, numbered(1, 400), made, key="k"))
    assert (again["batch_id"], again["accepted"], again["replayed"]) == (details["batch_id"], 400, 150)
    assert batch(api, details["batch_id"])["complete"] is True
    assert history(api, made) == 400


@pytest.mark.parametrize("announced", [True, False])
def test_too_many_bytes_are_413(api: httpx.Client, made: str, small: Any, announced: bool) -> None:
    body = numbered(1, 5_000)  # the server hands on what has arrived, 64 KB and more at a time

    def chunks() -> Iterator[bytes]:
        yield from (body[start : start + 4_096] for start in range(0, len(body), 4_096))

    with small(batch_max_bytes=150_000) as url, of(url, api) as tight:
        error = refused(upload(tight, body if announced else chunks(), made), 413, "150,000 bytes")
    if announced:
        assert "batch_id" not in error["details"]
        assert history(api, made) == 0
    else:
        assert error["details"]["accepted"] == history(api, made) > 0
        assert batch(api, error["details"]["batch_id"])["complete"] is False


def test_the_limit_of_other_bodies_is_not_that_of_batches(
    api: httpx.Client, made: str, settings: Settings
) -> None:
    padding = b" " * 900_000 + b"\n"
    body = padding * 3 + numbered(1, 1)
    assert len(body) > settings.body_max_bytes
    assert ok(upload(api, body, made))["accepted"] == 1


@pytest.mark.parametrize("key", [None, "k"])
def test_a_client_that_breaks_off_leaves_what_was_accepted(
    api: httpx.Client, made: str, key: str | None
) -> None:
    url = httpx.URL(str(api.base_url))
    head = (
        f"POST /v1/batches?retriever={made} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {API_KEY}\r\n"
        f"X-Namespace: {api.headers['X-Namespace']}\r\nTransfer-Encoding: chunked\r\n"
        + (f"Idempotency-Key: {key}\r\n" if key else "")
        + "\r\n"
    )
    part = numbered(1, 30) + b'{"inputs": {"n": 3'
    with socket.create_connection((url.host, url.port or 80)) as connection:
        connection.sendall(head.encode() + b"%x\r\n" % len(part) + part + b"\r\n")
        listed = wait_until(lambda: newest(api, submitted=30), 20, "the lines that were sent")
        assert (listed["status"], listed["complete"]) == ("uploading", False)
    batch_id = listed["batch_id"]
    wait_until(lambda: batch(api, batch_id)["status"] == "running", 20, "the upload to end")
    seen = batch(api, batch_id)
    assert (seen["submitted"], seen["complete"], seen["refused"]) == (30, False, 0)
    if key is not None:
        again = ok(upload(api, numbered(1, 50), made, key=key))
        assert (again["batch_id"], again["accepted"], again["replayed"]) == (batch_id, 50, 30)
        assert batch(api, batch_id)["complete"] is True
        assert history(api, made) == 50


def newest(api: httpx.Client, submitted: int) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = ok(api.get("/v1/batches?limit=1"))["results"]
    return found[0] if found and found[0]["submitted"] == submitted else None


# Reading


def test_a_foreign_or_unknown_batch_is_404(root: httpx.Client, api: httpx.Client, made: str) -> None:
    batch_id = ok(upload(api, numbered(1, 2), made))["batch_id"]
    other = root.post("/v1/namespaces", json={"namespace_name": f"other-{secrets.token_hex(4)}"}).json()
    for headers, unknown in (
        ({"X-Namespace": other["namespace_id"]}, batch_id),
        ({}, "batch_unknown"),
        ({}, f"{batch_id}:lines"),
        ({}, "no id"),
    ):
        for method, facet in (("GET", ""), ("GET", "/results"), ("POST", "/cancel")):
            error = refused(api.request(method, f"/v1/batches/{unknown}{facet}", headers=headers), 404)
            assert error["code"] == "batch_not_found"
        waiting = api.get(f"/v1/batches/{unknown}", headers={**headers, "Prefer": "wait=5"})
        refused(waiting, 404)
    assert ok(root.get("/v1/batches", headers={"X-Namespace": other["namespace_id"]}))["total"] == 0
    assert batch(api, batch_id)["counts"]["pending"] == 2


def test_the_list_has_pages(api: httpx.Client, made: str) -> None:
    made_ids = [ok(upload(api, numbered(1, n), made))["batch_id"] for n in range(1, 6)]
    found, cursor = [], None
    for _ in range(3):
        page = ok(api.get("/v1/batches", params={"limit": 2} | ({"cursor": cursor} if cursor else {})))
        assert page["total"] == 5
        found += page["results"]
        cursor = page["pagination"]["next_cursor"]
    assert cursor is None
    assert [each["batch_id"] for each in found] == made_ids[::-1]
    assert found[0] | {"rate_per_s": 0} == batch(api, made_ids[-1]) | {"rate_per_s": 0}
    assert len(ok(api.get("/v1/batches?limit=2&page=3"))["results"]) == 1
    refused(api.get("/v1/batches?cursor=nonsense"), 400)


def test_results_by_status_and_from_a_line_on(
    api: httpx.Client, made: str, redis_client: redis.Redis, settings: Settings
) -> None:
    batch_id = ok(upload(api, numbered(1, 60), made))["batch_id"]
    rows = results(api, batch_id)
    assert [row["line"] for row in rows] == list(range(1, 61))
    for row in rows[9:12]:
        ok(api.post(f"/v1/retrievers/{made}/executions/{row['execution_id']}/cancel"))
    assert [row["line"] for row in results(api, batch_id, status="cancelled")] == [10, 11, 12]
    assert [row["line"] for row in results(api, batch_id, status="pending", after=8, limit=3)] == [9, 13, 14]
    assert results(api, batch_id, after=60) == results(api, batch_id, status="running") == []
    refused(api.get(f"/v1/batches/{batch_id}/results?status=done"), 422, "is not a status")
    refused(api.get(f"/v1/batches/{batch_id}/results?after=-1"), 422)


def test_results_that_have_expired_say_so(api: httpx.Client, made: str, redis_client: redis.Redis) -> None:
    batch_id = ok(upload(api, numbered(1, 3), made))["batch_id"]
    ids = [row["execution_id"] for row in results(api, batch_id)]
    for execution_id in ids[:2]:
        ok(api.post(f"/v1/retrievers/{made}/executions/{execution_id}/cancel"))
    redis_client.delete(*(keys.execution(each) for each in ids[:2]), keys.summary(ids[1]))
    expired = {"expired": True, "error": "its result has expired; run it again", "documents": []}
    assert results(api, batch_id)[:2] == [
        {"line": 1, "id": "row-1", "execution_id": ids[0], "status": "cancelled", **expired},
        {"line": 2, "id": "row-2", "execution_id": ids[1], "status": None, **expired},
    ]
    assert [row["line"] for row in results(api, batch_id, status="cancelled")] == [1]


def test_an_unchanged_batch_is_304_and_a_change_ends_the_wait(
    api: httpx.Client, made: str, redis_client: redis.Redis, settings: Settings
) -> None:
    batch_id = ok(upload(api, numbered(1, 2), made))["batch_id"]
    path = f"/v1/batches/{batch_id}"
    etag = api.get(path).headers["etag"]
    assert api.get(path, headers={"If-None-Match": etag}).status_code == 304
    ledger = Ledger(redis_client, settings, "a worker of this test")
    ledger.heartbeat([], patience_s=0)  # so that waiting is not hopeless
    claim = ledger.claim(results(api, batch_id)[0]["execution_id"])
    assert claim is not None
    seen = api.get(path, headers={"If-None-Match": etag, "Prefer": "wait=20"})
    assert ok(seen)["counts"]["processing"] == 1
    assert seen.headers["preference-applied"] == "wait=20"
    ledger.finish(claim, outcome(), claim_next=False)
    assert batch(api, batch_id)["finished"] == 1
    ledger.resign()


# Cancelling


def test_a_cancelled_batch_ends_and_takes_nothing_more(api: httpx.Client, made: str) -> None:
    batch_id = ok(upload(api, numbered(1, 250), made, key="k"))["batch_id"]
    path = f"/v1/batches/{batch_id}/cancel"
    expected = {"batch_id": batch_id, "removed_from_queue": 250, "stopping": 0, "already_terminal": 0}
    assert ok(api.post(path)) == expected
    assert ok(api.post(path)) == expected | {"removed_from_queue": 0, "already_terminal": 250}
    seen = batch(api, batch_id)
    assert (seen["status"], seen["counts"]["cancelled"], seen["finished"]) == ("ended", 250, 250)
    assert seen["cancelled_at"] <= seen["ended_at"]
    again = ok(upload(api, numbered(1, 252), made, key="k"))
    assert (again["accepted"], again["replayed"], again["refused"]) == (250, 250, 2)
    assert {each["error"]["code"] for each in again["refused_lines"]} == {"batch_cancelled"}
    assert ok(api.post(f"/v1/batches/{ok(upload(api, b'', made))['batch_id']}/cancel"))["stopping"] == 0


def test_a_deleted_retriever_ends_its_lines(api: httpx.Client, made: str) -> None:
    batch_id = ok(upload(api, numbered(1, 20), made))["batch_id"]
    assert ok(api.delete(f"/v1/retrievers/{made}"))["cancelled_executions"] == 20
    seen = batch(api, batch_id)
    assert (seen["status"], seen["counts"]["cancelled"]) == ("ended", 20)


def test_uploads_at_the_same_time_with_one_key_double_nothing(
    api_url: str, api: httpx.Client, made: str
) -> None:
    async def post(client: httpx.AsyncClient) -> dict[str, Any]:
        answer = await client.post(
            f"/v1/batches?retriever={made}", content=numbered(1, 300), headers={"Idempotency-Key": "k"}
        )
        seen: dict[str, Any] = ok(answer)
        return seen

    async def together() -> list[dict[str, Any]]:
        async with httpx.AsyncClient(base_url=api_url, headers=dict(api.headers), timeout=30) as client:
            return await asyncio.gather(*(post(client) for _ in range(4)))

    seen = asyncio.run(together())
    assert len({each["batch_id"] for each in seen}) == 1
    assert [each["accepted"] for each in seen] == [300] * 4
    assert sum(each["replayed"] for each in seen) == 900
    assert batch(api, seen[0]["batch_id"])["submitted"] == history(api, made) == 300
