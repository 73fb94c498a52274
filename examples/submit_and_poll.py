"""Submit an execution and poll until it has ended, with nothing but httpx.

KENNEL_API_KEY=$(cat .kennel/api_key) python examples/submit_and_poll.py "compress data"
"""

import os
import sys
import time

import httpx

URL = os.environ.get("KENNEL_URL", "http://127.0.0.1:8000")
HEADERS = {
    "Authorization": f"Bearer {os.environ['KENNEL_API_KEY']}",
    "X-Namespace": os.environ.get("KENNEL_NAMESPACE", "demo"),
}
RETRIEVER = "/v1/retrievers/search_python_docs"
ENDED = ("completed", "degraded", "failed", "cancelled")

query = sys.argv[1] if len(sys.argv) > 1 else "compress data"

# The server may hold an answer for as long as `Prefer: wait` says, so the client waits longer than that.
with httpx.Client(base_url=URL, headers=HEADERS, timeout=40) as client:
    answer = client.post(f"{RETRIEVER}/execute", json={"inputs": {"query": query, "top_k": 3}})
    execution = answer.raise_for_status().json()
    path = f"{RETRIEVER}/executions/{execution['execution_id']}"
    etag = answer.headers["ETag"]

    while execution["status"] not in ENDED:
        # Held until something changes; 304 when nothing did, at once if there is no worker to wait for.
        answer = client.get(path, headers={"If-None-Match": etag, "Prefer": "wait=30"})
        if answer.status_code == 304:
            time.sleep(float(answer.headers["Retry-After"]))
            continue
        execution = answer.raise_for_status().json()
        etag = answer.headers["ETag"]
        print(execution["status"], f"{execution['stages_completed']}/{execution['total_stages']}")

for document in execution["documents"]:
    print(document["document_id"], document["payload"].get("title", ""))
sys.exit(execution["status"] not in ("completed", "degraded"))
