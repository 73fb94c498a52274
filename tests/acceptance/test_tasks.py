"""Tasks, by the field's client: executions of every namespace that the key may use, and deletions."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from mixpeek import ApiClient, Configuration
from mixpeek.api.tasks_api import TasksApi
from mixpeek.exceptions import NotFoundException, UnprocessableEntityException
from mixpeek.models.logical_operator_input import LogicalOperatorInput
from mixpeek.models.task_response import TaskResponse

from tests.contract.check import check_error
from tests.contract.scenes import BY_YEAR, busy, failing, read, retriever, run, search, unique
from tests.stack import API_KEY, Stack, execute, gate, poll_until

pytestmark = pytest.mark.usefixtures("books")


@pytest.fixture(scope="module")
def tasks(service: Stack) -> Iterator[TasksApi]:
    with ApiClient(Configuration(host=service.base_url, access_token=API_KEY)) as client:
        yield TasksApi(client)


@pytest.fixture(scope="module")
def found(client: httpx.Client) -> str:
    return retriever(client, search(), collection_identifiers=["books"])


def limited_client(service: Stack, namespace_id: str) -> ApiClient:
    """With a key that may use this namespace only."""
    body = {
        "name": unique("limited"),
        "permissions": ["read"],
        "scopes": [{"resource_type": "namespace", "resource_id": namespace_id}],
    }
    made = service.client.post("/organizations/users/ada@example.com/api-keys", json=body).raise_for_status()
    return ApiClient(Configuration(host=service.base_url, access_token=made.json()["key"]))


def newest(tasks: TasksApi, count: int, **asked: object) -> list[str]:
    listed = tasks.list_tasks(limit=count, list_tasks_request=asked or None)
    return [each.task_id for each in listed.results]


def test_an_execution_is_a_task(client: httpx.Client, tasks: TasksApi, found: str) -> None:
    execution = run(client, found, inputs={"query": "trains"})
    task: TaskResponse = tasks.get_task(execution["execution_id"])
    assert (task.task_type, task.status) == ("api_retrievers_execute", "COMPLETED")
    assert [each.actual_instance for each in task.inputs] == [found]
    assert [each.actual_instance for each in task.outputs] == [execution["execution_id"]]
    assert (task.error, task.queue_position) == (None, None)
    assert task.additional_data["namespace_id"].startswith("ns_")
    assert task.additional_data["total_returned"] == execution["total_returned"]
    assert newest(tasks, 1) == [execution["execution_id"]]


def test_every_end_has_its_status(client: httpx.Client, tasks: TasksApi) -> None:
    broken = run(client, retriever(client, failing()))["execution_id"]
    skipped = run(client, retriever(client, failing(on_error="skip")))["execution_id"]
    assert (tasks.get_task(broken).status, tasks.get_task(skipped).status) == (
        "FAILED",
        "COMPLETED_WITH_ERRORS",
    )
    assert "this stage always fails" in tasks.get_task(broken).error
    assert newest(tasks, 1, status="FAILED") == [broken]
    assert newest(tasks, 1, status="COMPLETED_WITH_ERRORS") == [skipped]
    with pytest.raises(UnprocessableEntityException):
        tasks.list_tasks(list_tasks_request={"status": "DRAFT"})


def test_executions_of_several_retrievers_and_without_one_page_by_page(
    client: httpx.Client, tasks: TasksApi, found: str
) -> None:
    stages = {"stages": [search("book")], "collection_identifiers": ["books"]}
    adhoc = client.post("/retrievers/execute", json=stages, headers={"Prefer": "wait=20"}).json()
    other = retriever(client, search("trains"), collection_identifiers=["books"])
    made = [adhoc["execution_id"]]
    made += [run(client, each, inputs={})["execution_id"] for each in (other, found, other)]
    seen: list[str] = []
    cursor = None
    for _ in range(4):
        page = tasks.list_tasks(limit=1, cursor=cursor)
        seen += [each.task_id for each in page.results]
        cursor = page.pagination.next_cursor
    assert seen == made[::-1]
    assert newest(tasks, 2, search=other, sort={"field": "additional_data.created_at"}) == made[1::2]
    ours = LogicalOperatorInput.from_dict({"additional_data.retriever_id": found})
    listed = tasks.list_tasks(limit=1, list_tasks_request={"filters": ours})
    assert [each.task_id for each in listed.results] == [made[2]]


def test_a_running_one_and_one_that_waits_are_killed_with_a_receipt(
    service: Stack, client: httpx.Client, tasks: TasksApi
) -> None:
    held = retriever(client, gate("tasks"))
    with busy(service, client):
        waiting = execute(client, held)
        assert (tasks.get_task(waiting).status, tasks.get_task(waiting).queue_position) == ("PENDING", 1)
        receipt = tasks.kill_task(waiting)
    assert (receipt.success, receipt.message) == (True, "removed_from_queue: the execution is cancelled")

    running = execute(client, held)
    poll_until(client, held, running, lambda e: e["status"] == "processing", "its start")
    assert tasks.get_task(running).status == "PROCESSING"
    stage = read(client, held, running).json()["current_stage"]
    receipt = tasks.kill_task(running)
    assert receipt.message == f"stopping: the execution is cancelled, its worker stops after {stage}"
    assert tasks.kill_task(running).message == "already_terminal: the execution is cancelled"
    assert [tasks.get_task(each).status for each in (running, waiting)] == ["CANCELED"] * 2
    assert read(client, held, waiting).json()["status"] == "cancelled"
    service.open("tasks")


@pytest.mark.parametrize("task_id", ["exec_0000000000000000", "nobody", "a/b"])
def test_what_is_not_there(tasks: TasksApi, task_id: str) -> None:
    with pytest.raises(NotFoundException):
        tasks.get_task(task_id)
    assert tasks.kill_task(task_id).success is True


def test_a_key_sees_the_tasks_of_its_namespaces_only(
    service: Stack, client: httpx.Client, tasks: TasksApi, found: str
) -> None:
    mine = run(client, found, inputs={"query": "book"})["execution_id"]
    with service.namespace(unique("elsewhere")) as elsewhere:
        theirs = run(elsewhere, retriever(elsewhere, BY_YEAR))["execution_id"]
        namespace_id = tasks.get_task(theirs).additional_data["namespace_id"]
        with limited_client(service, namespace_id) as limited:
            stranger = TasksApi(limited)
            assert newest(stranger, 10) == [theirs]
            with pytest.raises(NotFoundException):
                stranger.get_task(mine)
            assert stranger.kill_task(mine).message == "there is no such task, so there is nothing to cancel"
        assert newest(tasks, 2) == [theirs, mine]


def test_the_deletion_of_a_namespace_is_a_task(service: Stack, tasks: TasksApi) -> None:
    made = service.client.post("/namespaces", json={"namespace_name": unique("gone")}).json()
    answer = service.client.delete(f"/namespaces/{made['namespace_id']}").json()
    task = tasks.get_task(answer["task_id"])
    assert task.task_type == "api_namespaces_delete"
    assert task.status in ("PROCESSING", "COMPLETED")
    assert [each.actual_instance for each in task.inputs] == [made["namespace_id"]]
    receipt = tasks.kill_task(answer["task_id"])
    assert (receipt.success, receipt.message) == (
        False,
        "the deletion of a namespace cannot be cancelled; it goes on",
    )


def test_a_cursor_of_another_list_is_refused(client: httpx.Client, service: Stack, found: str) -> None:
    for _ in range(2):
        run(client, found, inputs={"query": "book"})
    page = client.post(f"/retrievers/{found}/executions/list?limit=1").json()
    cursor = {"cursor": page["pagination"]["next_cursor"]}
    check_error(service.client.post("/tasks/list", params=cursor), 400)
