"""Every state of an execution, field by field: by the contract, and as the field's client reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator

import httpx
import mixpeek
import pytest
from mixpeek.api.retrievers_api import RetrieversApi
from mixpeek.exceptions import ApiException, NotFoundException
from mixpeek.models.execute_retriever_request import ExecuteRetrieverRequest

from tests.contract.check import check_error, check_execution, check_list
from tests.contract.models import ExecuteAnswer
from tests.contract.scenes import (
    busy,
    expire,
    failing,
    keep,
    post_execute,
    read,
    retriever,
    run,
    search,
    unique,
)
from tests.stack import API_KEY, Stack, execute, gate, poll_until

pytestmark = pytest.mark.usefixtures("books")


@pytest.fixture(scope="module")
def retrievers(service: Stack, client: httpx.Client) -> Iterator[RetrieversApi]:
    """The field's client, unmodified, in the same namespace."""
    configuration = mixpeek.Configuration(host=service.base_url, access_token=API_KEY)
    with mixpeek.ApiClient(configuration) as field_client:
        field_client.set_default_header("X-Namespace", client.headers["X-Namespace"])
        yield RetrieversApi(field_client)


@pytest.fixture
def agree(client: httpx.Client, retrievers: RetrieversApi) -> Callable[[str, str], dict[str, object]]:
    """Reads an execution with both: our model of the contract, and the field's client."""

    def check(retriever_id: str, execution_id: str) -> dict[str, object]:
        answer = read(client, retriever_id, execution_id).json()
        seen = check_execution(answer)
        theirs = retrievers.get_execution_retrievers(retriever_id, execution_id)
        assert theirs.status == seen.status
        assert theirs.stages_completed == seen.stages_completed
        assert theirs.created_at == seen.created_at
        assert list(theirs.stage_statistics.stages) == list(seen.stage_statistics.stages)
        assert len(theirs.documents) == len(seen.documents)

        listed = check_list(client.post(f"/retrievers/{retriever_id}/executions/list").json())
        line = next(each for each in listed.results if each.execution_id == execution_id)
        assert (line.status, line.created_at) == (seen.status, seen.created_at)
        assert line.inputs_hash == answer["inputs_hash"]
        page = retrievers.list_executions_retrievers(retriever_id)
        assert execution_id in [each.execution_id for each in page.results]
        return answer  # type: ignore[no-any-return]

    return check


Agree = Callable[[str, str], dict[str, object]]


def test_execute_answer_is_readable_at_once(client: httpx.Client) -> None:
    made = retriever(client, search(), collection_identifiers=["books"])
    answer = post_execute(client, made, {"inputs": {"query": "trains"}})
    assert answer.status_code == 200
    seen = ExecuteAnswer.model_validate(answer.json())
    check_execution(answer.json())
    assert seen.retriever_id == made
    assert seen.interpretation is not None
    assert seen.interpretation.provided_input_keys == ["query"]


def test_a_pending_execution_says_that_it_is_queued(
    service: Stack, client: httpx.Client, agree: Agree
) -> None:
    made = retriever(client, search("trains"), collection_identifiers=["books"])
    with busy(service, client):
        execution_id = execute(client, made)
        answer = agree(made, execution_id)
        assert (answer["status"], answer["wait_reason"]) == ("pending", "queued")
        assert answer["started_at"] is None
    poll_until(client, made, execution_id, lambda e: e["status"] == "completed", "its turn")


def test_each_stage_of_a_running_execution_is_seen(
    service: Stack, client: httpx.Client, agree: Agree
) -> None:
    first, second = unique("first"), unique("second")
    made = retriever(client, gate(first), gate(second), search("trains"), collection_identifiers=["books"])
    execution_id = execute(client, made)
    for completed, name in enumerate((first, second)):
        poll_until(client, made, execution_id, lambda e, name=name: e["current_stage"] == name, name)
        answer = agree(made, execution_id)
        assert (answer["status"], answer["stages_completed"], answer["total_stages"]) == (
            "processing", completed, 3,
        )  # fmt: skip
        service.open(name)
    poll_until(client, made, execution_id, lambda e: e["status"] == "completed", "the end")
    agree(made, execution_id)


def test_a_completed_execution(client: httpx.Client, agree: Agree) -> None:
    made = retriever(client, search(), keep("genre", "eq", "crime"), collection_identifiers=["books"])
    answer = agree(made, run(client, made, inputs={"query": "trains"}, limit=5)["execution_id"])
    seen = check_execution(answer)
    assert (seen.status, seen.current_stage, seen.error) == ("completed", None, None)
    assert (seen.stages_completed, len(seen.documents), seen.pagination.total) == (2, 5, 9)
    assert list(seen.stage_statistics.stages) == ["search", "keep"]
    assert all(document.payload["genre"] == "crime" for document in seen.documents)
    assert {"document_id", "collection_id", "text", "year"} <= seen.documents[0].payload.keys()
    summary = check_list(client.post(f"/retrievers/{made}/executions/list").json()).results[0]
    assert (summary.total_returned, summary.query_summary) == (5, "trains")
    assert summary.credits_used == seen.budget.credits_used > 0


def test_nothing_found_is_completed_and_retained(client: httpx.Client, agree: Agree) -> None:
    made = retriever(client, search("zeppelin"), collection_identifiers=["books"])
    answer = agree(made, run(client, made)["execution_id"])
    assert (answer["status"], answer["documents"], answer["documents_retained"]) == ("completed", [], True)


def test_a_degraded_execution(client: httpx.Client, agree: Agree) -> None:
    made = retriever(client, search("trains"), failing(on_error="skip"), collection_identifiers=["books"])
    answer = agree(made, run(client, made)["execution_id"])
    assert answer["status"] == "degraded"


def test_a_failed_execution(client: httpx.Client, agree: Agree) -> None:
    made = retriever(client, search("trains"), failing(), collection_identifiers=["books"])
    answer = agree(made, run(client, made)["execution_id"])
    assert answer["status"] == "failed"


def test_a_cancelled_execution_outlives_its_retriever(
    service: Stack, client: httpx.Client, retrievers: RetrieversApi
) -> None:
    made = retriever(client, search("trains"), collection_identifiers=["books"])
    with busy(service, client):
        execution_id = execute(client, made)
        assert client.delete(f"/retrievers/{made}").status_code == 200
        answer = read(client, made, execution_id).json()
    assert check_execution(answer).status == "cancelled"
    assert retrievers.get_execution_retrievers(made, execution_id).status == "cancelled"
    assert "deleted" in answer["error"]
    assert service.starts(execution_id) == []


def test_an_expired_and_an_unknown_execution(
    service: Stack, client: httpx.Client, retrievers: RetrieversApi
) -> None:
    made = retriever(client, search("trains"), collection_identifiers=["books"])
    execution_id = run(client, made)["execution_id"]
    expire(service, execution_id)
    check_error(read(client, made, execution_id), 410)
    with pytest.raises(ApiException) as gone:
        retrievers.get_execution_retrievers(made, execution_id)
    assert gone.value.status == 410
    check_error(read(client, made, "exec_0000000000000000"), 404)
    with pytest.raises(NotFoundException) as unknown:
        retrievers.get_execution_retrievers(made, "exec_0000000000000000")
    assert unknown.value.data.error.type == "NotFoundError"


def test_the_fields_client_executes_and_reads_the_result(
    client: httpx.Client, retrievers: RetrieversApi
) -> None:
    made = retriever(client, search(), collection_identifiers=["books"])
    request = ExecuteRetrieverRequest.from_dict(
        {"inputs": {"query": "trains"}, "pagination": {"method": "offset", "page_size": 7, "page_number": 2}}
    )
    accepted = retrievers.execute_retriever(made, execute_retriever_request=request)
    poll_until(client, made, accepted.execution_id, lambda e: e["status"] == "completed", "the end")
    read_back = retrievers.get_execution_retrievers(made, accepted.execution_id)
    assert len(read_back.documents) == 7
    assert read_back.pagination["page_number"] == 2
    assert read_back.stage_statistics.stages["search"].output_count == 25


def test_the_fields_client_pages_by_cursor(client: httpx.Client, retrievers: RetrieversApi) -> None:
    made = retriever(client, search(final_top_k=45), collection_identifiers=["books"])
    ended = run(client, made, inputs={"query": "trains"}, limit=30)
    request = ExecuteRetrieverRequest.from_dict(
        {"inputs": {"query": "trains"}, "pagination": {"method": "cursor", "limit": 30,
                                                       "cursor": ended["pagination"]["cursor"]}}
    )  # fmt: skip
    page = retrievers.execute_retriever(made, execute_retriever_request=request)
    assert (page.execution_id, len(page.documents)) == (ended["execution_id"], 15)
    assert page.pagination["cursor"] is None


def test_inputs_hash_is_sha1_of_canonical_inputs_with_defaults(client: httpx.Client) -> None:
    made = retriever(
        client, search(), collection_identifiers=["books"],
        input_schema={"query": {"type": "string"}, "top_k": {"type": "integer", "default": 3}},
    )  # fmt: skip
    ended = run(client, made, inputs={"query": "trains"})
    canonical = json.dumps({"query": "trains", "top_k": 3}, sort_keys=True, separators=(",", ":"))
    assert ended["inputs_hash"] == hashlib.sha1(canonical.encode()).hexdigest()
