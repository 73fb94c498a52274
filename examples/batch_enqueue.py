"""Put many executions into the queue at once, then collect their results, with nothing but httpx.

    KENNEL_API_KEY=$(cat .kennel/api_key) python examples/batch_enqueue.py "parse json" "compress data"

Each submit carries an Idempotency-Key made of its content: run it again after it was cut off, and what was
submitted is not submitted twice.
"""

import hashlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx

URL = os.environ.get("KENNEL_URL", "http://127.0.0.1:8000")
HEADERS = {
    "Authorization": f"Bearer {os.environ['KENNEL_API_KEY']}",
    "X-Namespace": os.environ.get("KENNEL_NAMESPACE", "demo"),
}
RETRIEVER = "/v1/retrievers/search_python_docs"
ENDED = ("completed", "degraded", "failed", "cancelled")
CONNECTIONS = 8

client = httpx.Client(base_url=URL, headers=HEADERS, timeout=40)


def enqueue(query: str) -> str:
    key = hashlib.sha256(f"batch_enqueue {query}".encode()).hexdigest()
    body = {"inputs": {"query": query, "top_k": 3}}
    answer = client.post(f"{RETRIEVER}/execute", json=body, headers={"Idempotency-Key": key})
    return answer.raise_for_status().json()["execution_id"]


def collect(execution_id: str) -> dict:
    while True:
        answer = client.get(f"{RETRIEVER}/executions/{execution_id}", headers={"Prefer": "wait=30"})
        execution = answer.raise_for_status().json()
        if execution["status"] in ENDED:
            return execution
        time.sleep(float(answer.headers["Retry-After"]))


queries = sys.argv[1:] or [f"read a {kind} file" for kind in ("csv", "json", "zip", "tar", "xml")]
with client, ThreadPoolExecutor(CONNECTIONS) as pool:
    execution_ids = list(pool.map(enqueue, queries))
    print(f"{len(execution_ids)} executions are in the queue")
    for query, execution in zip(queries, pool.map(collect, execution_ids), strict=True):
        print(execution["status"], len(execution["documents"]), query)
