"""The field's client, unmodified, in every way to run a retriever; its models read each answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import mixpeek
import pytest
from mixpeek.api.adhoc_retrievers_api import AdhocRetrieversApi
from mixpeek.api.alerts_api import AlertsApi
from mixpeek.api.retrievers_api import RetrieversApi
from mixpeek.exceptions import ApiException, NotFoundException, UnprocessableEntityException
from mixpeek.models.execute_retriever_request import ExecuteRetrieverRequest

from shared.documents.write_token import make_write_token
from tests.contract.check import check_adhoc, check_error
from tests.contract.models import AdhocList
from tests.contract.scenes import busy, failing, keep, retriever, run, search, unique
from tests.stack import API_KEY, Stack, gate
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("books")
HELD = {"Prefer": "wait=20"}
NO_SUCH_THING = "exec_0000000000000000"


@pytest.fixture(scope="module")
def field_client(service: Stack, client: httpx.Client) -> Iterator[mixpeek.ApiClient]:
    configuration = mixpeek.Configuration(host=service.base_url, access_token=API_KEY)
    with mixpeek.ApiClient(configuration) as made:
        made.set_default_header("X-Namespace", client.headers["X-Namespace"])
        yield made


@pytest.fixture(scope="module")
def retrievers(field_client: mixpeek.ApiClient) -> RetrieversApi:
    return RetrieversApi(field_client)


@pytest.fixture(scope="module")
def adhoc(field_client: mixpeek.ApiClient) -> AdhocRetrieversApi:
    return AdhocRetrieversApi(field_client)


def definition(*stages: dict[str, Any], **over: Any) -> dict[str, Any]:
    return {"stages": list(stages), "collection_identifiers": ["books"], **over}


def agree(client: httpx.Client, adhoc: AdhocRetrieversApi, execution_id: str) -> str:
    """Both readings of an ad-hoc execution and of its line in the list; returns its status."""
    seen = check_adhoc(client.get(f"/retrievers/executions/{execution_id}").json())
    theirs = adhoc.get_adhoc_execution_retrievers(execution_id)
    for field in ("status", "execution_mode", "total_processed", "stages_completed", "inputs", "inputs_hash"):
        assert getattr(theirs, field) == getattr(seen, field)
    listed = AdhocList.model_validate(client.post("/retrievers/executions/list").json())
    line = next(each for each in listed.results if each.execution_id == execution_id)
    assert (line.status, line.timestamp) == (seen.status, seen.timestamp)
    page = adhoc.list_adhoc_executions_retrievers(list_adhoc_executions_request={})
    assert (page.total, page.results[0].execution_id) == (listed.total, listed.results[0].execution_id)
    return seen.status


def test_adhoc_in_every_state(service: Stack, client: httpx.Client, adhoc: AdhocRetrieversApi) -> None:
    name = unique("slow")
    waiting = {"Prefer": "wait=0"}
    with busy(service, client):
        body = definition(gate(name))
        pending: Any = adhoc.execute_adhoc_retriever(body, _headers=waiting)
        assert agree(client, adhoc, pending["execution_id"]) == "pending"
    path = f"/retrievers/executions/{pending['execution_id']}"
    wait_until(lambda: client.get(path).json()["status"] == "processing", 20, "its start")
    assert agree(client, adhoc, pending["execution_id"]) == "processing"
    service.open(name)
    wait_until(lambda: client.get(path).json()["status"] == "completed", 20, "the end")
    assert agree(client, adhoc, pending["execution_id"]) == "completed"
    for stages, status in (
        ([search()], "completed"),
        ([search(), failing()], "failed"),
        ([search(), failing(on_error="skip")], "degraded"),
    ):
        ended: Any = adhoc.execute_adhoc_retriever(
            definition(*stages, inputs={"query": "trains"}), _headers=HELD
        )
        assert agree(client, adhoc, ended["execution_id"]) == status


def test_adhoc_errors(client: httpx.Client, adhoc: AdhocRetrieversApi) -> None:
    with pytest.raises(NotFoundException) as unknown:
        adhoc.get_adhoc_execution_retrievers(NO_SUCH_THING)
    assert unknown.value.data.error.type == "NotFoundError"
    made = retriever(client, search("trains"), collection_identifiers=["books"])
    with pytest.raises(NotFoundException):
        adhoc.get_adhoc_execution_retrievers(run(client, made)["execution_id"])
    with pytest.raises(UnprocessableEntityException) as refused:
        adhoc.execute_adhoc_retriever(definition({"stage_name": "s", "config": {"stage_id": "nope"}}))
    errors = refused.value.data.error.details["validation_errors"]
    assert errors[0]["loc"] == ["stages", 0, "config", "stage_id"]


def test_adhoc_counted_and_filtered(adhoc: AdhocRetrieversApi) -> None:
    adhoc.execute_adhoc_retriever(definition(search(), inputs={"query": "trains"}), _headers=HELD)
    counted = adhoc.list_adhoc_executions_retrievers(list_adhoc_executions_request={"count_only": True})
    assert counted.results == [] and counted.total >= 1
    later = adhoc.list_adhoc_executions_retrievers(
        list_adhoc_executions_request={"start_time": "2100-01-01T00:00:00Z"}
    )
    assert (later.total, later.results) == (0, [])


def test_batch(client: httpx.Client, retrievers: RetrieversApi) -> None:
    schema = {"query": {"type": "string", "required": True}}
    made = retriever(client, search(), collection_identifiers=["books"], input_schema=schema)
    queries = [{"inputs": {"query": "trains"}}, {"inputs": {}}, {"inputs": {"query": "zeppelin"}}]
    answer: Any = retrievers.execute_batch_retrievers(
        made, {"queries": queries, "settings": {"limit": 3}}, _headers=HELD
    )
    assert [len(each["documents"]) for each in answer["results"]] == [3, 0, 0]
    assert [each["error"] is None for each in answer["results"]] == [True, False, True]


def test_explain(client: httpx.Client, retrievers: RetrieversApi) -> None:
    made = retriever(client, search(), keep("genre", "eq", "crime"), collection_identifiers=["books"])
    for _ in range(2):  # a guess, then a median
        plan = retrievers.explain_retriever_execution_id_execute(made, {"inputs": {"query": "trains"}})
        assert (plan.retriever_id, plan.total_estimated_stages) == (made, 2)
        assert [each.stage_name for each in plan.execution_plan] == ["search", "keep"]
        assert set(plan.bottleneck_stages) <= {"search", "keep"} != set()
        assert plan.optimization_suggestions[0]["stage"] == "keep"
        run(client, made, inputs={"query": "trains"})


def test_status_and_profile(client: httpx.Client, retrievers: RetrieversApi) -> None:
    made = retriever(client, search("trains"), collection_identifiers=["books"])
    execution_id = run(client, made)["execution_id"]
    status: Any = retrievers.get_execution_status_retrievers(made, execution_id)
    assert (status["status"], status["completed_stages"]) == ("completed", ["search"])
    profile: Any = retrievers.get_execution_profile_retrievers(made, execution_id)
    assert [each["stage_name"] for each in profile["stages"]] == ["search"]


@pytest.mark.parametrize("method", ["offset", "cursor", "keyset", "scroll"])
def test_every_method_of_paging(client: httpx.Client, retrievers: RetrieversApi, method: str) -> None:
    made = retriever(client, search("trains", final_top_k=45), collection_identifiers=["books"])
    size = "page_size" if method == "offset" else "limit"
    pagination: dict[str, Any] = {"method": method, size: 15}
    seen: list[str] = []
    for number in range(2, 5):
        request = ExecuteRetrieverRequest.from_dict({"inputs": {}, "pagination": pagination})
        page = retrievers.execute_retriever(made, execute_retriever_request=request, _headers=HELD)
        assert page.pagination is not None and page.pagination["method"] == method
        seen += [each["document_id"] for each in page.documents]
        following = {"offset": "page_number", "keyset": "after", "scroll": "scroll_id", "cursor": "cursor"}
        value = number if method == "offset" else page.pagination[following[method]]
        pagination = {**pagination, following[method]: value}
    assert len(seen) == len(set(seen)) == 45
    assert method == "offset" or value is None


def test_flags_of_the_query(client: httpx.Client, books: str, retrievers: RetrieversApi) -> None:
    made = retriever(client, search("trains"), collection_identifiers=["books"])
    token = make_write_token(books, 1)
    request = ExecuteRetrieverRequest.from_dict(
        {"inputs": {}, "write_token": token, "consistency": {"mode": "strong"}, "expand": ["parent"]}
    )
    seen = retrievers.execute_retriever(
        made,
        execute_retriever_request=request,
        return_vectors=True,
        explain=True,
        include_legacy_results=True,
        skip_cache=True,
        _headers=HELD,
    )
    assert seen.results == seen.documents
    assert seen.explain_plan is not None and seen.explain_plan["total_estimated_stages"] == 1
    assert seen.cache_hit is False


def test_an_unknown_execution_of_an_alert_is_not_found(
    client: httpx.Client, field_client: mixpeek.ApiClient
) -> None:
    check_error(client.get(f"/alerts/executions/{NO_SUCH_THING}"), 404)
    with pytest.raises(ApiException) as refused:
        AlertsApi(field_client).get_execution_alerts(NO_SUCH_THING)
    assert refused.value.status == 404
