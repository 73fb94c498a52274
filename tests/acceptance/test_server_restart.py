"""Redis dies and comes back on its append-only file: nothing is lost, nothing that lives is run again."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.servers import free_port, start_redis
from tests.stack import Stack, create_retriever, ended, execute, gate, kill, poll_until
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(120)


def test_a_killed_server_loses_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "redis"
    directory.mkdir()
    redis_port = free_port()
    server = start_redis(directory, redis_port)
    kennel = Stack(tmp_path, f"redis://127.0.0.1:{redis_port}/0", free_port(), {})
    try:
        kennel.start_api()
        kennel.start_worker("r1")
        with kennel.namespace("restart") as client:
            retriever = create_retriever(client, "gated", [gate("restart", stubborn=True)])
            ids = [execute(client, retriever) for _ in range(10)]  # four run, six wait
            wait_until(lambda: sum(len(kennel.starts(name)) for name in ids) >= 4, 20, "four to run")
            server.kill()
            server.wait(10)
            refused = client.post(f"/retrievers/{retriever}/execute", json={})
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
            log = tmp_path / "r1.log"
            wait_until(lambda: "heartbeat.failed" in log.read_text(), 20, "a missed heartbeat")
            server = start_redis(directory, redis_port)
            kennel.open("restart")
            for execution_id in ids:
                seen = poll_until(client, retriever, execution_id, ended, "the end")
                assert (seen["status"], seen["attempt"]) == ("completed", 1)
                assert kennel.starts(execution_id) == ["restart"]
            listed = client.post(f"/retrievers/{retriever}/executions/list", json={}).json()
            assert listed["pagination"]["total"] == 10
    except httpx.HTTPError as error:
        raise AssertionError((tmp_path / "api.log").read_text()[-3000:]) from error
    finally:
        kennel.stop()
        kill(server)
