"""The demo: a namespace with the docstrings of the running Python, a few retrievers over them, and an alert.

Loaded over HTTP like any client's data. Everything has a fixed name, or an id made from its content, so a
load that was cut off is completed by the next one, and a complete one costs a few requests.
"""

from __future__ import annotations

import platform
import shlex
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from ops.demo_alert import ALERT, alert, application
from ops.demo_retrievers import COLLECTION, EXTRACTOR, NAMESPACE, document_id, retrievers
from ops.stdlib_docs import Docstring, choose, read_docstrings
from shared.errors import KennelError, Unavailable

DOCUMENTS_MAX = 3_000
BATCH_DOCUMENTS = 500
REQUEST_TIMEOUT_S = 30.0
TRIES = 8
RETRY_WAIT_S = 1.0
RETRY_WAIT_MAX_S = 5.0
# Every request of a load may be repeated, so one whose outcome is unknown (504) may be, too.
_RETRIED = frozenset((429, 503, 504))

Body = dict[str, Any]


def load(base_url: str, api_key: str, log: Callable[[str], None]) -> None:
    """Make what is missing of the demo; returns when all of it is there.

    Args:
        base_url: Of the API, without `/v1`.
        log: Called with a line about each step that changes something.

    Raises:
        Unavailable: the API did not answer, or only with 429, 503, 504, eight times in a row.
        KennelError: it refused a request, or this Python has no sources to read.
    """
    headers = {"Authorization": f"Bearer {api_key}", "X-Namespace": NAMESPACE}
    with httpx.Client(
        base_url=base_url, headers=headers, timeout=REQUEST_TIMEOUT_S, trust_env=False
    ) as client:
        api = _Api(client)
        if api.find("/v1/namespaces", NAMESPACE) is None:
            api.create("/v1/namespaces", {"namespace_name": NAMESPACE})
        _load_documents(api, log)
        for retriever in retrievers():
            name = retriever["retriever_name"]
            if api.find("/v1/retrievers", name) is None:
                api.create("/v1/retrievers", retriever)
                log(f"demo: retriever {name} created")
        _load_alert(api, log)


def quickstart(base_url: str, key_file: Path) -> str:
    """Shell lines that submit an execution and wait for its result; ready to paste."""
    return "\n".join(
        (
            f"KEY=$(cat {shlex.quote(str(key_file))})",
            f"URL={base_url}/v1/retrievers/search_python_docs",
            f'ask() {{ curl -s -H "Authorization: Bearer $KEY" -H "X-Namespace: {NAMESPACE}" "$@"; }}',
            """ID=$(ask $URL/execute -d '{"inputs":{"query":"compress data"}}' | grep -o 'exec_[a-z0-9]*')""",
            'ask $URL/executions/$ID -H "Prefer: wait=10" | python3 -m json.tool',
        )
    )


class _Api:
    """The few requests of a load, each with a bounded number of tries."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def find(self, path: str, name: str) -> Body | None:
        """The resource called `name`; None when there is none."""
        response = self._request("GET", f"{path}/{name}", accept=404)
        found: Body | None = response.json() if response.status_code == 200 else None
        return found

    def create(self, path: str, body: Body) -> None:
        """Create a resource. 409 is fine: an earlier try arrived, although its answer did not."""
        self._request("POST", path, body, accept=409)

    def change(self, path: str, body: Body) -> None:
        self._request("PATCH", path, body)

    def upsert(self, documents: Sequence[Body]) -> None:
        """Store one batch."""
        body = {"collection_id": COLLECTION, "documents": documents}
        self._request("POST", f"/v1/namespaces/{NAMESPACE}/documents/upsert", body)

    def _request(
        self, method: str, path: str, body: Body | None = None, *, accept: int = 200
    ) -> httpx.Response:
        """The answer with status 200 or `accept`.

        Raises:
            Unavailable, KennelError: as `load` does.
        """
        reason = ""
        for _ in range(TRIES):
            try:
                response = self._client.request(method, path, json=body)
            except httpx.TransportError as error:
                reason, wait_s = type(error).__name__, RETRY_WAIT_S
            else:
                if response.status_code in (200, accept):
                    return response
                reason, wait_s = _refusal(response), _retry_after_s(response)
                if response.status_code not in _RETRIED:
                    raise KennelError(f"{method} {path} was refused: {reason}")
            time.sleep(wait_s)
        raise Unavailable(f"{method} {path} failed {TRIES} times, at last with {reason}")


def _load_documents(api: _Api, log: Callable[[str], None]) -> None:
    """The collection with all its documents. Its metadata says how many they are."""
    collection = api.find("/v1/collections", COLLECTION)
    if collection is not None:
        expected = (collection.get("metadata") or {}).get("documents", 0)
        if collection["document_count"] >= expected:
            return
    log("demo: reading the docstrings of the Python standard library")
    documents = _documents()
    if collection is None:
        about = {"documents": len(documents), "python_version": platform.python_version()}
        description = "Docstrings of the Python standard library."
        api.create(
            "/v1/collections",
            {
                "collection_name": COLLECTION,
                "description": description,
                "metadata": about,
                "feature_extractor": EXTRACTOR,
            },
        )
    for start in range(0, len(documents), BATCH_DOCUMENTS):
        api.upsert(documents[start : start + BATCH_DOCUMENTS])
        stored = min(start + BATCH_DOCUMENTS, len(documents))
        log(f"demo: {stored:,} of {len(documents):,} documents stored in {NAMESPACE}/{COLLECTION}")


def _load_alert(api: _Api, log: Callable[[str], None]) -> None:
    """The alert, at the collection: attached behind the documents, so that loading them starts no runs."""
    found = api.find("/v1/alerts", ALERT)
    if found is None:
        api.create("/v1/alerts", alert())
    if not (found and found["attached_to"]):
        api.change(f"/v1/collections/{COLLECTION}", {"alert_applications": [application()]})
        log(f"demo: alert {ALERT} attached to {COLLECTION}")


def _documents() -> list[Body]:
    """The chosen docstrings as upserts. Raises KennelError when this Python comes without sources."""
    library = Path(sysconfig.get_path("stdlib"))
    chosen = choose(read_docstrings(library), DOCUMENTS_MAX)
    if not chosen:
        raise KennelError(f"there are no Python sources under {library}; start with --no-demo")
    return [_document(docstring) for docstring in chosen]


def _document(docstring: Docstring) -> Body:
    payload = {
        "title": docstring.title,
        "text": docstring.text,
        "module": docstring.module,
        "kind": docstring.kind,
        "line": docstring.line,
        "is_public": docstring.is_public,
        "words": len(docstring.text.split()),
        "signature": docstring.signature,
        "metadata": {
            "package": docstring.module.partition(".")[0],
            "path": docstring.path,
            "python_version": platform.python_version(),
        },
    }
    return {"document_id": document_id(docstring.title), "payload": payload}


def _refusal(response: httpx.Response) -> str:
    """Status and message of an error answer."""
    try:
        message = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = response.text[:200]
    return f"{response.status_code} ({message})"


def _retry_after_s(response: httpx.Response) -> float:
    header = response.headers.get("Retry-After", "")
    return min(float(header), RETRY_WAIT_MAX_S) if header.isdigit() else RETRY_WAIT_S
