"""The `mixpeek` client against Kennel; it never polls, so its key has a default wait.

MIXPEEK_API_KEY=$(cat .kennel/mixpeek_key) python examples/mixpeek_client.py "compress data"
"""

import os
import sys

from mixpeek import Mixpeek

client = Mixpeek(
    namespace=os.environ.get("KENNEL_NAMESPACE", "demo"),
    base_url=os.environ.get("KENNEL_URL", "http://127.0.0.1:8000") + "/v1",
)
query = sys.argv[1] if len(sys.argv) > 1 else "compress data"
retriever = client.retrievers.get("search_python_docs")
result = client.retrievers.execute(retriever["retriever_id"], inputs={"query": query, "top_k": 3})
print(result["status"])
for document in result["documents"]:
    print(document["document_id"], document["payload"].get("title", ""))
