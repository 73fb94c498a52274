"""Keeping a result longer: all of it together, never shorter, and gone as a whole in the end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
import pytest

from shared import keys
from shared.redis_sync import connect
from tests.contract.check import check_error
from tests.contract.scenes import BY_YEAR, expire, read, retriever, run, search, unique
from tests.stack import Stack, ended, execute, gate, poll_until

pytestmark = pytest.mark.usefixtures("books")

DAY_S = 86_400
WEEK_S = 7 * DAY_S


def extend(client: httpx.Client, made: str, execution_id: str, seconds: object) -> httpx.Response:
    path = f"/retrievers/{made}/executions/{execution_id}/extend"
    return client.post(path, json={"expires_in_s": seconds})


def lives_ms(service: Stack, execution_id: str) -> dict[str, int]:
    """When each key of the execution goes (ms since the epoch)."""
    with connect(service.redis_url) as server:
        names = (keys.execution, keys.result_documents, keys.summary)
        return {each.__name__: server.pexpiretime(each(execution_id)) for each in names}


def epoch_ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def history_line(client: httpx.Client, made: str) -> dict[str, Any]:
    (line,) = client.post(f"/retrievers/{made}/executions/list").json()["results"]
    found: dict[str, Any] = line
    return found


def test_record_pages_and_summary_live_on_together(service: Stack, client: httpx.Client) -> None:
    made = retriever(client, BY_YEAR, collection_identifiers=["books"])
    before = run(client, made, limit=10)
    answer = extend(client, made, before["execution_id"], WEEK_S).json()
    assert (answer["status"], answer["extended"]) == ("completed", True)
    assert answer["revision"] == before["revision"] + 1
    lives = lives_ms(service, before["execution_id"])
    until_ms = epoch_ms(answer["expires_at"])
    assert (lives["execution"], lives["result_documents"]) == (until_ms, until_ms)
    assert lives["summary"] > until_ms  # the tombstone
    added_ms = until_ms - epoch_ms(before["completed_at"])
    assert WEEK_S * 1000 <= added_ms < (WEEK_S + 60) * 1000
    after = read(client, made, before["execution_id"])
    assert after.headers["etag"] == f'"{answer["revision"]}"'
    changed = {"expires_at": answer["expires_at"], "revision": answer["revision"]}
    assert after.json() == before | changed
    assert history_line(client, made)["expires_at"] == answer["expires_at"]


def test_it_is_never_shortened(service: Stack, client: httpx.Client) -> None:
    made = retriever(client, search("trains"))
    before = run(client, made)
    lives = lives_ms(service, before["execution_id"])
    answer = extend(client, made, before["execution_id"], 60).json()
    assert answer == {
        "execution_id": before["execution_id"],
        "status": "completed",
        "revision": before["revision"],
        "expires_at": before["expires_at"],
        "extended": False,
    }
    assert lives_ms(service, before["execution_id"]) == lives
    assert read(client, made, before["execution_id"]).json() == before


def test_an_adhoc_execution_too(client: httpx.Client) -> None:
    answer = client.post(
        "/retrievers/execute", json={"stages": [search("trains")]}, headers={"Prefer": "wait=20"}
    )
    path = f"/retrievers/executions/{answer.json()['execution_id']}"
    extended = client.post(f"{path}/extend", json={"expires_in_s": WEEK_S}).json()
    assert client.get(path).json()["expires_at"] == extended["expires_at"]


def test_an_error_text_that_looks_like_an_expiry_stays(client: httpx.Client) -> None:
    text = '"expires_at":"never"'
    made = retriever(client, search(), input_schema={"query": {"type": "string"}})
    before = run(client, made, inputs={"query": text})
    extend(client, made, before["execution_id"], WEEK_S)
    after = read(client, made, before["execution_id"]).json()
    changed = {name for name, value in after.items() if before[name] != value}
    assert changed == {"expires_at", "revision"}
    assert history_line(client, made)["query_summary"] == text


@pytest.mark.parametrize("seconds", [0, -1, 1.5, "60", None, 2_592_001])
def test_what_is_no_length_of_time_is_refused(client: httpx.Client, seconds: object) -> None:
    made = retriever(client, search("trains"))
    execution_id = run(client, made)["execution_id"]
    refused = check_error(extend(client, made, execution_id, seconds), 422)
    assert "expires_in_s" in refused.error.message


def test_what_has_not_ended_has_no_retention_yet(service: Stack, client: httpx.Client) -> None:
    name = unique("gate")
    made = retriever(client, gate(name))
    execution_id = execute(client, made)
    refused = check_error(extend(client, made, execution_id, WEEK_S), 409)
    assert refused.error.code == "execution_not_ended"
    service.open(name)
    poll_until(client, made, execution_id, ended, "the end")


def test_what_is_gone_cannot_be_brought_back(service: Stack, client: httpx.Client) -> None:
    made = retriever(client, search("trains"))
    execution_id = run(client, made)["execution_id"]
    check_error(extend(client, made, "exec_unknown", WEEK_S), 404)
    with service.namespace(unique("other")) as stranger:
        check_error(extend(stranger, made, execution_id, WEEK_S), 404)
    extended = extend(client, made, execution_id, WEEK_S).json()
    expire(service, execution_id)
    gone = check_error(extend(client, made, execution_id, WEEK_S), 410)
    assert gone.error.details is not None
    assert gone.error.details["expires_at"] == extended["expires_at"]
