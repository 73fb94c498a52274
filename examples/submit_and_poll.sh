#!/usr/bin/env bash
# Submit an execution and wait for its result, with nothing but curl.
#
#     KENNEL_API_KEY=$(cat .kennel/api_key) examples/submit_and_poll.sh "compress data"
set -euo pipefail

RETRIEVER=${KENNEL_URL:-http://127.0.0.1:8000}/v1/retrievers/search_python_docs
QUERY=${1:-compress data}  # goes into JSON as it is: no quotes or backslashes

ask() {
  curl -sS --fail-with-body --max-time 40 -H "Authorization: Bearer $KENNEL_API_KEY" \
    -H "X-Namespace: ${KENNEL_NAMESPACE:-demo}" -H "Content-Type: application/json" "$@"
}

ID=$(ask "$RETRIEVER/execute" -d "{\"inputs\": {\"query\": \"$QUERY\", \"top_k\": 3}}" | grep -o 'exec_[a-z0-9]*')
while true; do
  RESULT=$(ask "$RETRIEVER/executions/$ID" -H 'Prefer: wait=30')
  grep -qE '"status":"(completed|degraded|failed|cancelled)"' <<< "$RESULT" && break
  sleep 1  # there is no worker to wait for
done
printf '%s\n' "$RESULT"
