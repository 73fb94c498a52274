"""Kennel's own client: run one execution, watch another, run many.

    KENNEL_NAMESPACE=demo python examples/kennel_client.py

URL, key and namespace come from KENNEL_URL, KENNEL_API_KEY and KENNEL_NAMESPACE; without a key, from the
`.kennel` of a `kennel up` in this directory.
"""

from client import Kennel

RETRIEVER = "search_python_docs"

with Kennel() as kennel:
    execution = kennel.run(RETRIEVER, {"query": "compress data", "top_k": 3})
    print(execution.status, len(execution.documents))

    for change in kennel.poll(kennel.submit(RETRIEVER, {"query": "parse json"})):
        print(change.status, f"{change.stages_completed}/{change.total_stages}", change.current_stage or "")

    queries = ({"query": f"read a {kind} file", "top_k": 3} for kind in ("csv", "json", "zip"))
    for outcome in kennel.map(RETRIEVER, queries, concurrency=8):
        print(outcome.index, outcome.error or outcome.execution.status)
