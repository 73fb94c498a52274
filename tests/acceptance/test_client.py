"""The Python client against a real stack."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from client import Conflict, ExecutionFailed, InvalidInput, Kennel, NotFound, Unauthorized, WaitTimeout
from client.transport import Request, Transport
from shared.models.execution import Status
from shared.redis_sync import connect
from shared.stores.api_keys import create_key
from tests.contract.scenes import failing, retriever, search, unique
from tests.stack import API_KEY, Stack, gate, kill, stack

QUERY = {"query": "trains"}


@pytest.fixture(scope="module")
def kennel(service: Stack, client: httpx.Client) -> Iterator[Kennel]:
    namespace = client.headers["X-Namespace"]
    with Kennel(service.base_url, api_key=API_KEY, namespace=namespace) as made:
        yield made


@pytest.fixture(scope="module")
def trains(client: httpx.Client, books: str) -> str:
    """A search over 45 books, of which each is found by `trains`."""
    schema = {"query": {"type": "string", "required": True}}
    return retriever(client, search(final_top_k=45), collection_identifiers=[books], input_schema=schema)


def test_a_run_returns_the_result(kennel: Kennel, trains: str) -> None:
    execution = kennel.run(trains, QUERY, limit=5)
    assert (execution.status, len(execution.documents)) == (Status.COMPLETED, 5)
    assert [(stage.name, stage.output_count) for stage in execution.stages] == [("search", 45)]
    assert execution.raw["retriever_id"] == trains


def test_a_poll_sees_each_stage(service: Stack, kennel: Kennel, client: httpx.Client) -> None:
    first, second = unique("first"), unique("second")
    name = retriever(client, gate(first), gate(second))
    seen = []
    for execution in kennel.poll(kennel.submit(name)):
        seen.append((execution.status, execution.current_stage, execution.stages_completed))
        if execution.current_stage in (first, second):
            service.open(execution.current_stage)
    assert seen[0] == ("pending", None, 0)
    assert ("processing", first, 0) in seen
    assert ("processing", second, 1) in seen
    assert seen[-1] == ("completed", None, 2)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(("are_events_served", "count"), [(True, 1), (False, 7)])
def test_a_poll_of_five_stages_needs_one_request(
    service: Stack,
    kennel: Kennel,
    client: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    are_events_served: bool,
    count: int,
) -> None:
    """Without events, one for each stage and for the end, and the one that is refused."""
    gates = [unique("gate") for _ in range(5)]
    name = retriever(client, *map(gate, gates))
    asked: list[str] = []
    encoded = Transport._encoded

    def counted(self: Transport, request: Request) -> bytes:
        asked.append(request.path)
        refused = replace(request, path="/v1/nothing") if request.path.endswith("/events") else request
        return encoded(self, request if are_events_served else refused)

    execution = kennel.submit(name)
    monkeypatch.setattr(Transport, "_encoded", counted)
    stages = []
    for now in kennel.poll(execution):
        if now.current_stage:
            stages.append(now.current_stage)
            service.open(now.current_stage)
    assert stages == gates
    assert len(asked) == count


def test_a_poll_goes_on_when_its_api_is_replaced(tmp_path: Path) -> None:
    with stack(tmp_path) as own, own.namespace("replaced") as http:
        own.start_worker()
        name = retriever(http, gate("first"), gate("second"))
        with Kennel(own.base_url, api_key=API_KEY, namespace="replaced") as kennel:
            polled = kennel.poll(kennel.submit(name))
            next(now for now in polled if now.current_stage == "first")
            kill(own.processes[0])
            own.start_api()
            own.open("first")
            next(now for now in polled if now.current_stage == "second")
            own.open("second")
            assert [now.status for now in polled] == [Status.COMPLETED]


def test_a_wait_that_times_out_leaves_the_execution_alone(
    service: Stack, kennel: Kennel, client: httpx.Client
) -> None:
    closed = unique("closed")
    execution = kennel.submit(retriever(client, gate(closed)))
    with pytest.raises(WaitTimeout):
        kennel.wait(execution, timeout_s=0.05)
    service.open(closed)
    assert kennel.wait(execution).status is Status.COMPLETED


def test_the_same_key_is_the_same_execution(kennel: Kennel, trains: str) -> None:
    key = unique("key")
    executions = {kennel.submit(trains, QUERY, idempotency_key=key).execution_id for _ in range(2)}
    assert len(executions) == 1
    with pytest.raises(InvalidInput, match="used with another body") as raised:
        kennel.submit(trains, {"query": "other"}, idempotency_key=key)
    assert raised.value.code == "idempotency_key_reused"


def test_two_submits_are_two_executions(kennel: Kennel, trains: str) -> None:
    assert kennel.submit(trains, QUERY).execution_id != kennel.submit(trains, QUERY).execution_id


def test_a_failed_run_raises_with_the_reason(kennel: Kennel, client: httpx.Client) -> None:
    with pytest.raises(ExecutionFailed, match="this stage always fails") as raised:
        kennel.run(retriever(client, failing()))
    assert raised.value.execution.status is Status.FAILED


def test_refusals_name_each_place(kennel: Kennel, trains: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        kennel.submit(trains, {"query": 7})
    assert raised.value.details["validation_errors"][0]["loc"] == ["inputs", "query"]


def test_map_keeps_the_order_and_is_lazy(kennel: Kennel, trains: str) -> None:
    queries = ({"query": "trains"} if n % 5 else {} for n in itertools.count())
    outcomes = list(itertools.islice(kennel.map(trains, queries, concurrency=4, limit=1), 30))
    assert [outcome.index for outcome in outcomes] == list(range(30))
    refused = [outcome.index for outcome in outcomes if isinstance(outcome.error, InvalidInput)]
    assert refused == [0, 5, 10, 15, 20, 25]
    assert all(len(each.execution.documents) == 1 for each in outcomes if each.execution)


def test_pages_are_the_whole_result_of_one_execution(kennel: Kennel, trains: str) -> None:
    pages = list(kennel.pages(kennel.run(trains, QUERY, limit=20)))
    assert [len(page.documents) for page in pages] == [20, 20, 5]
    assert len({document["document_id"] for page in pages for document in page.documents}) == 45
    assert len({page.execution_id for page in pages}) == 1


def test_the_history_is_listed_page_by_page(kennel: Kennel, client: httpx.Client, books: str) -> None:
    name = retriever(client, search(), collection_identifiers=[books])
    ids = [kennel.run(name, QUERY).execution_id for _ in range(5)]
    listed = kennel.list_executions(name, status="completed", page_size=2)
    assert [each.execution_id for each in listed] == ids[::-1]


def test_an_unknown_execution_is_not_found(kennel: Kennel, trains: str) -> None:
    with pytest.raises(NotFound):
        kennel.get(trains, "exec_0000000000000000")


def test_a_wrong_key_is_refused(service: Stack) -> None:
    with (
        Kennel(service.base_url, api_key="sk_wrong_wrong_wrong", namespace="x") as kennel,
        pytest.raises(Unauthorized),
    ):
        next(kennel.retrievers.list())


def test_a_key_with_a_default_wait_does_not_hold_a_submit(
    service: Stack, client: httpx.Client, kennel: Kennel
) -> None:
    with connect(service.redis_url) as redis:
        secret, _ = create_key(redis, unique("waits"), default_wait_s=25)
    closed = unique("closed")
    name = retriever(client, gate(closed))
    with Kennel(service.base_url, api_key=secret, namespace=client.headers["X-Namespace"]) as waiting:
        assert not waiting.submit(name).is_terminal
    service.open(closed)


def test_collections_documents_and_retrievers(kennel: Kennel, client: httpx.Client) -> None:
    name = unique("shelf")
    created = kennel.collections.create({"collection_name": name})
    with pytest.raises(Conflict):
        kennel.collections.create({"collection_name": name})
    documents = ({"document_id": f"doc_{n}", "payload": {"text": f"train {n}"}} for n in range(25))
    assert kennel.documents.upsert_all(name, documents, batch_size=10) == 25
    assert kennel.collections.get(name).raw["document_count"] == 25
    assert name in [each.name for each in kennel.collections.list(name)]
    stored = kennel.documents.upsert(
        name, [{"document_id": "doc_0", "payload": {"text": "plane"}}], write_token=True
    )
    definition = {"retriever_name": name, "stages": [search()], "collection_identifiers": [name]}
    made = kennel.retrievers.create(definition)
    found = kennel.run(name, {"query": "plane"}, write_token=stored.write_token)
    assert [document["document_id"] for document in found.documents] == ["doc_0"]
    assert kennel.retrievers.get(made.resource_id).name == name
    kennel.retrievers.delete(name)
    kennel.collections.delete(created.resource_id)
    with pytest.raises(NotFound):
        kennel.retrievers.get(name)
    with pytest.raises(NotFound):
        kennel.collections.get(name)
