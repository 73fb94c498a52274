"""GET /v1/stats and /metrics: whose books, how they balance, and what Prometheus reads of them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from shared import keys
from shared.broker import QUEUES
from shared.metrics import BOUNDS_S, QUEUE_WAIT, STAGE_ERRORS
from shared.redis_sync import connect
from shared.settings import Settings
from shared.stores.api_keys import create_key
from shared.stores.ledger import Ledger
from tests.conftest import serve
from tests.integration.api.answers import ok, refused, retriever
from tests.integration.record.conftest import outcome
from tests.servers import redis_server
from tests.waiting import wait_until
from workers.meter import Meter

COUNTED = ("submitted", "pending", "processing", "completed", "degraded", "failed", "cancelled")


@pytest.fixture
def executed(api: httpx.Client) -> list[str]:
    """Ids of three executions of a retriever in the test's namespace; no worker runs them."""
    ok(api.post("/v1/retrievers", json=retriever("counted")))
    return [ok(api.post("/v1/retrievers/counted/execute", json={}))["execution_id"] for _ in range(3)]


def counted(client: httpx.Client, **query: str) -> list[int]:
    stats = ok(client.get("/v1/stats", params=query))
    assert stats["submitted"] == sum(stats[name] for name in COUNTED[1:])
    return [stats[name] for name in COUNTED]


def test_a_namespace_counts_its_own(
    api: httpx.Client, settings: Settings, redis_client: redis.Redis, executed: list[str]
) -> None:
    assert counted(api) == [3, 3, 0, 0, 0, 0, 0]
    ledger = Ledger(redis_client, settings, "worker")
    claim = ledger.claim(executed[0])
    assert claim is not None
    ok(api.post(f"/v1/retrievers/counted/executions/{executed[1]}/cancel"))
    assert counted(api) == [3, 1, 1, 0, 0, 0, 1]
    ledger.finish(claim, outcome("degraded"), claim_next=False)
    stats = ok(api.get("/v1/stats"))
    assert [stats[name] for name in COUNTED] == [3, 1, 0, 0, 1, 0, 1]
    assert (stats["attempts"], stats["requeued"]) == (1, 0)
    assert (stats["namespace_id"], stats["found"]) == (api.headers["X-Namespace"], None)
    assert stats["balanced"]
    assert set(stats["queues"]) == set(QUEUES)


def test_the_installation_is_compared_with_what_is_there(
    root: httpx.Client, redis_client: redis.Redis, executed: list[str]
) -> None:
    stats = ok(root.get("/v1/stats"))
    assert stats["namespace_id"] is None
    assert stats["balanced"]
    assert stats["pending"] == stats["found"]["pending"] == sum(stats["queues"].values()) >= len(executed)
    redis_client.hincrby(keys.BOOKS, "none>pending", 1)
    try:
        stats = ok(root.get("/v1/stats"))
        assert not stats["balanced"]
        assert stats["pending"] == stats["found"]["pending"] + 1
    finally:
        redis_client.hincrby(keys.BOOKS, "none>pending", -1)


@pytest.mark.usefixtures("executed")
def test_a_key_of_a_namespace_sees_no_other(
    api: httpx.Client, api_url: str, namespace: str, redis_client: redis.Redis
) -> None:
    secret, _ = create_key(redis_client, f"of {namespace}", namespaces=[namespace], permissions=["read"])
    headers = {"Authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=api_url, headers=headers) as limited:
        refused(limited.get("/v1/stats"), 400, "no namespace named")
        assert counted(limited, namespace=namespace) == counted(api)
        refused(limited.get("/v1/stats", headers={"X-Namespace": "another"}), 404)


@pytest.mark.usefixtures("executed")
def test_the_books_of_a_namespace_go_with_it(
    root: httpx.Client, api: httpx.Client, redis_client: redis.Redis
) -> None:
    namespace_id = api.headers["X-Namespace"]
    ok(root.delete(f"/v1/namespaces/{namespace_id}"))
    wait_until(lambda: not redis_client.hexists(keys.DELETING, namespace_id), 20, "the purge")
    assert not redis_client.exists(keys.books(namespace_id))
    assert ok(root.get("/v1/stats"))["balanced"]
    refused(api.get("/v1/stats"), 404)


@pytest.fixture
def quiet(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, redis.Redis]]:
    """(URL of an API, its own Redis), which nobody else uses."""
    with redis_server(tmp_path_factory.mktemp("redis")) as redis_url, connect(redis_url) as client:
        alone = settings.model_copy(update={"redis_url": redis_url})
        with serve(alone) as url:
            yield url, client


def samples(text: str) -> dict[tuple[str, ...], float]:
    """(name, label values …) -> value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_reads_the_books_and_what_was_measured(
    quiet: tuple[str, redis.Redis], settings: Settings
) -> None:
    url, client = quiet
    ledger, meter = Ledger(client, settings, "worker"), Meter()
    for seconds in (0.001, 0.004, 1_000):
        meter.observe(QUEUE_WAIT, seconds)
    meter.count(STAGE_ERRORS, 2, "mmr")
    ledger.heartbeat([], patience_s=0, measurements=meter.to_send())
    now_s, _ = client.time()
    client.zadd(keys.pending("kennel.normal"), {"exec_a": (now_s - 60) * 1_000_000})
    client.hset(keys.books("ns_secret"), "none>pending", 1)
    answer = httpx.get(f"{url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "secret" not in answer.text
    found = samples(answer.text)
    wait = QUEUE_WAIT.name
    assert [found[f"{wait}_bucket", bound] for bound in ("0.001", "0.0025", "0.005", "300", "+Inf")] == [
        *(1, 1, 2, 2, 3)
    ]
    assert len([name for name, *_ in found if name == f"{wait}_bucket"]) == len(BOUNDS_S) + 1
    assert (found[f"{wait}_count",], found[f"{wait}_sum",]) == (3, 1000.005)
    assert found["kennel_stage_errors_total", "mmr"] == 2
    assert found["kennel_workers_online",] == 1
    assert found["kennel_books_balanced",] == 0
    assert found["kennel_queue_depth", "kennel.normal"] == 1
    assert 60 <= found["kennel_queue_oldest_seconds", "kennel.normal"] < 120
    assert found["kennel_executions_total", "completed"] == 0
