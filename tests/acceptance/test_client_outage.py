"""The Python client while the server is away."""

from __future__ import annotations

import threading

from client import Kennel, Outcome
from shared.models.execution import Status
from tests.contract.scenes import retriever, search
from tests.stack import API_KEY, Stack, kill
from tests.waiting import wait_until


def test_a_map_goes_on_when_the_api_comes_back(kennel: Stack) -> None:
    """The API is killed in the middle; each input still gets its result, and is run once."""
    kennel.start_worker()
    with kennel.namespace("outage") as http:
        name = retriever(http, search())
        outcomes: list[Outcome] = []

        def run_all() -> None:
            with Kennel(kennel.base_url, api_key=API_KEY, namespace="outage") as client:
                inputs = [{"query": f"trains {number}"} for number in range(300)]
                outcomes.extend(client.map(name, inputs, concurrency=8))

        api = kennel.processes[0]
        thread = threading.Thread(target=run_all)
        thread.start()
        count = f"/retrievers/{name}/executions/list"
        wait_until(lambda: http.post(count).json()["pagination"]["total"] >= 20, 20, "the map to run")
        kill(api)
        kennel.start_api()
        thread.join(50)
        assert [outcome.error for outcome in outcomes] == [None] * 300
        assert {outcome.execution.status for outcome in outcomes if outcome.execution} == {Status.COMPLETED}
        assert http.post(count).json()["pagination"]["total"] == 300
