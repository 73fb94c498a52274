"""A history of 5,000: each list has each of its executions once, and an ended execution stays small."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import redis

from benchmarks.finished import Sample, fill_history
from benchmarks.servers import QUERY
from shared import ids, keys
from shared.models.execution import Budget, Detail, ExecutionRequest, Page, Status, figures, pagination_of
from shared.redis_sync import connect, fcall
from shared.settings import Settings
from shared.stores.executions import Submission
from shared.stores.ledger import Outcome
from tests.servers import redis_server

RETRIEVER = "ret_0123456789abcdef"
COUNT = 5_000
ENDS = (Status.COMPLETED, Status.COMPLETED, Status.DEGRADED, Status.FAILED, Status.CANCELLED)
BYTES_MAX = 2_048


def sample() -> Sample:
    """Of about the size of a real one: three stages, inputs of 200 bytes, no documents."""
    execution_id, stages = ids.execution_id(), ("narrow", "search", "sort")
    statistics = {
        "input_count": 12,
        "output_count": 3,
        "duration_ms": 0.125,
        "efficiency": 0.25,
        "cache_hit": False,
        "stage_cache_hit": False,
    }
    interpretation = {
        "provided_input_keys": ["query"],
        "inferred_inputs": {},
        "ignored_input_keys": ["query"],
        "relaxations": [],
    }
    detail = Detail(
        Budget().report(0.03, 1.5),
        pagination_of(Page(), 0, 0, None),
        stages=dict.fromkeys(stages, statistics),
        total_time_ms=1.5,
        credits_used=0.03,
        interpretation=interpretation,
    )
    head = (
        f'{{"execution_id":"{execution_id}","retriever_id":"{RETRIEVER}","retriever_name":"search_docs",'
        f'"execution_mode":"retriever","total_stages":3,"inputs_hash":"{"a" * 40}"'
    )
    submission = Submission(
        execution_id=execution_id,
        namespace_id="ns_0123456789abcdef",
        retriever_id=RETRIEVER,
        version=1,
        request=ExecutionRequest({"query": QUERY}, []).to_json(),
        head=head.encode(),
        detail=detail.to_json(),
        first_stage=b'"narrow"',
        shadow=b"search_docs@ns_0123456789abcdef",
        figures=figures(),
        about=f'"inputs_hash":"{"a" * 40}","query_summary":"{QUERY}"'.encode(),
        collection_ids=[],
    )
    profile = b'{"narrow":[12,3,0.125],"search":[12,3,0.125],"sort":[12,3,0.125]}'
    outcome = Outcome(
        Status.COMPLETED, None, 3, detail.to_json(), figures(credits_used=0.03, processed=36), profile=profile
    )
    return Sample(submission, outcome)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    directory: Path = tmp_path_factory.mktemp("redis")
    with redis_server(directory) as url:
        yield Settings(redis_url=url)


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[redis.Redis]:
    client = connect(settings.redis_url)
    yield client
    client.close()


@pytest.fixture(scope="module")
def made(client: redis.Redis, settings: Settings) -> dict[str, Status]:
    """How each execution ended."""
    client.hset(keys.resource("retriever", RETRIEVER), "version", "1")
    return fill_history(client, settings, sample(), COUNT, ENDS)


@pytest.mark.parametrize("status", [None, *dict.fromkeys(ENDS)])
def test_every_execution_is_listed_once_newest_first(
    client: redis.Redis, made: dict[str, Status], status: Status | None
) -> None:
    expected = {each for each, ended in made.items() if status in (None, ended)}
    seen: list[str] = []
    sequences = [math.inf]
    for _ in range(len(expected) // 1_000 + 1):
        below = "" if not seen else int(sequences[-1])
        total, *flat = fcall(
            client, "history", RETRIEVER, status or "", below, 0, 1_000, "-inf", "+inf", 3_600
        )
        assert total == len(expected)
        seen += [orjson.loads(line)["execution_id"] for line in flat[1::2]]
        sequences += [int(each) for each in flat[::2]]
    assert sequences == sorted(set(sequences), reverse=True)
    assert len(seen) == len(expected)
    assert set(seen) == expected


@pytest.mark.parametrize("status", dict.fromkeys(ENDS))
def test_an_ended_execution_takes_at_most_2_kb(
    client: redis.Redis, made: dict[str, Status], status: Status
) -> None:
    """What is kept of it: record, summary, and its places in the lists. A mean: hashes grow by chance."""
    lists = [keys.history(RETRIEVER, each) for each in (None, *dict.fromkeys(ENDS))]
    places = sum(client.memory_usage(each, samples=0) or 0 for each in lists) / COUNT
    taken = [
        (client.memory_usage(keys.execution(each), samples=0), client.memory_usage(keys.summary(each)))
        for each in [execution_id for execution_id, ended in made.items() if ended is status][::100]
    ]
    assert all(record and summary for record, summary in taken)
    assert sum(map(sum, taken)) / len(taken) + places <= BYTES_MAX, taken
