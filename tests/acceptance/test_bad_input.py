"""Whatever is wrong with a request is answered with the one envelope, which names the place and the value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contract.check import check_error, places
from tests.contract.scenes import keep, post_execute, retriever, search, stage, unique

pytestmark = pytest.mark.usefixtures("books")


@pytest.fixture(scope="module")
def made(client: httpx.Client, books: str) -> str:
    """Id of a retriever whose inputs are of several types."""
    schema = {
        "query": {"type": "string", "required": True},
        "genre": {"type": "string", "enum": ["crime", "poetry"]},
        "year": {"type": "integer"},
    }
    return retriever(client, search(), collection_identifiers=["books"], input_schema=schema)


def condition(operator: str, value: Any) -> dict[str, Any]:
    return {"field": "year", "operator": operator, "value": value}


GIVEN: dict[str, Any] = {"inputs": {"query": "x"}}
EXECUTE: list[tuple[str, dict[str, Any], int, str]] = [
    ("inputs are no object", {"inputs": []}, 422, "inputs"),
    ("a required input is missing", {"inputs": {}}, 422, "inputs.query"),
    ("an input of the wrong type", {"inputs": {"query": 5}}, 422, "inputs.query"),
    ("a null for a required input", {"inputs": {"query": None}}, 422, "inputs.query"),
    ("a float for an integer", {"inputs": {"query": "x", "year": 1.5}}, 422, "inputs.year"),
    ("a boolean for an integer", {"inputs": {"query": "x", "year": True}}, 422, "inputs.year"),
    ("outside of the enum", {"inputs": {"query": "x", "genre": "cooking"}}, 422, "inputs.genre"),
    ("no collections", {"collection_identifiers": []}, 422, "collection_identifiers"),
    ("collections of the wrong type", {"collection_identifiers": "books"}, 422, "collection_identifiers"),
    ("limit too small", {**GIVEN, "limit": 0}, 422, "limit"),
    ("limit too large", {**GIVEN, "limit": 501}, 422, "limit"),
    ("limit as text", {**GIVEN, "limit": "5"}, 422, "limit"),
    ("two different limits", {**GIVEN, "limit": 5, "page_size": 6}, 422, ""),
    ("unknown method", {"pagination": {"method": "random"}}, 422, "pagination"),
    ("a method of the wrong type", {"pagination": {"method": 5}}, 422, "pagination.method"),
    ("scroll of 1001", {"pagination": {"method": "scroll", "limit": 1001}}, 422, "pagination.limit"),
    ("scroll of 59 s", {"pagination": {"method": "scroll", "scroll_ttl": 59}}, 422, "pagination.scroll_ttl"),
    ("keyset of 501", {"pagination": {"method": "keyset", "limit": 501}}, 422, "pagination.limit"),
    ("keyset behind a list", {"pagination": {"method": "keyset", "after": [1]}}, 422, "pagination.after"),
    ("keyset without an id", {"pagination": {"method": "keyset", "after": {"score": 1}}}, 422, "pagination"),
    ("page number 0", {"pagination": {"method": "offset", "page_number": 0}}, 422, "pagination.page_number"),
    ("page size 501", {"pagination": {"method": "offset", "page_size": 501}}, 422, "pagination.page_size"),
    ("unknown key", {"pagination": {"method": "offset", "size": 5}}, 422, "pagination.size"),
    ("pagination is a list", {"pagination": []}, 422, "pagination"),
    ("unknown operator", {**GIVEN, "filters": condition("like", 1)}, 422, "filters.operator"),
    ("no list for in", {**GIVEN, "filters": condition("in", 1)}, 422, "filters.value"),
    ("a broken pattern", {**GIVEN, "filters": condition("regex", "(")}, 422, "filters.value"),
    ("a broken template", {**GIVEN, "filters": condition("eq", "{{INPUT.x")}, 422, "filters.value"),
    ("filters are a list", {**GIVEN, "filters": [1]}, 422, "filters"),
    ("a field that is not built", {**GIVEN, "target_collection_id": "col_1"}, 422, "target_collection_id"),
    ("vectors as text", {**GIVEN, "return_vectors": "yes"}, 422, "return_vectors"),
    ("expand as text", {**GIVEN, "expand": "parent"}, 422, "expand"),
    ("expand of an empty path", {**GIVEN, "expand": ["parent", "a..b"]}, 422, "expand.1"),
    ("expand of 21 fields", {**GIVEN, "expand": ["parent"] * 21}, 422, "expand"),
    ("signed URLs", {**GIVEN, "return_presigned_urls": True}, 422, "return_presigned_urls"),
    ("a target collection", {**GIVEN, "target_collection_id": "books"}, 422, "target_collection_id"),
    ("staleness below 0", {**GIVEN, "consistency": {"mode": "strong", "max_staleness_ms": -1}}, 422,
     "consistency.max_staleness_ms"),
    ("consistency without a mode", {**GIVEN, "consistency": {}}, 422, "consistency.mode"),
    ("a write token of the wrong type", {**GIVEN, "write_token": 5}, 422, "write_token"),
    ("unknown consistency", {**GIVEN, "consistency": {"mode": "maybe"}}, 422, "consistency.mode"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "place"), [case[1:] for case in EXECUTE], ids=[c[0] for c in EXECUTE]
)
def test_execute_refuses(
    client: httpx.Client, made: str, body: dict[str, Any], status: int, place: str
) -> None:
    envelope = check_error(post_execute(client, made, body), status)
    assert envelope.error.type == "ValidationError"
    assert place in places(envelope), envelope
    assert client.post(f"/retrievers/{made}/executions/list").json()["pagination"]["total"] == 0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "JSON"),
        (b'{"inputs": {"query": "x"},}', "JSON"),
        (b'{"inputs": {"query": NaN}}', "JSON"),
        (b'{"inputs": {"query": "\xff"}}', "JSON"),
        (b'{"inputs": {"query": 123456789012345678901234567890}}', "64 bits"),
        (b"[" * 100 + b"]" * 100, "40 levels"),
    ],
    ids=["truncated", "trailing comma", "NaN", "no UTF-8", "long integer", "deep"],
)
def test_a_body_that_is_no_json(client: httpx.Client, made: str, body: bytes, says: str) -> None:
    answer = client.post(
        f"/retrievers/{made}/execute", content=body, headers={"Content-Type": "application/json"}
    )
    assert says in check_error(answer, 400).error.message


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"5", b"null"])
def test_a_body_that_is_no_object(client: httpx.Client, made: str, body: bytes) -> None:
    refused = check_error(client.post(f"/retrievers/{made}/execute", content=body), 422)
    assert refused.error.message == "body: must be a JSON object"


@pytest.mark.parametrize("cursor", ["nonsense", "AAAAAAAAAAAAAAAAAAAA", "ä", "x" * 5000, "a" * 17])
def test_a_cursor_that_nobody_issued(client: httpx.Client, made: str, cursor: str) -> None:
    answer = post_execute(client, made, {"pagination": {"method": "cursor", "cursor": cursor}})
    assert "cursor" in check_error(answer, 400).error.message


STAGES: list[tuple[str, dict[str, Any], str, str]] = [
    ("unknown stage", stage("s", "no_such_stage"), "stages.0.config.stage_id", "no_such_stage"),
    ("unknown parameter", stage("s", "sort_attribute", fields="year"),
     "stages.0.config.parameters.fields", "field"),
    ("parameter of the wrong type", stage("s", "sort_attribute", field=5),
     "stages.0.config.parameters.field", "5"),
    ("parameter out of range", search(final_top_k=0), "stages.0.config.parameters.final_top_k", "1"),
    ("parameter outside of its enum", stage("s", "sort_attribute", direction="up"),
     "stages.0.config.parameters.direction", "asc"),
    ("broken template", stage("s", "sort_attribute", field="{{ INPUT.field "),
     "stages.0.config.parameters.field", "template"),
    ("unknown operator", keep("year", "like", 5), "stages.0.config.parameters.operator", "like"),
    ("unknown operator in a tree",
     stage("s", "attribute_filter", conditions={"AND": [{"field": "a", "operator": "like", "value": 1}]}),
     "stages.0.config.parameters.conditions.AND.0.operator", "like"),
    ("no list for in", stage("s", "attribute_filter", conditions=condition("in", 5)),
     "stages.0.config.parameters.conditions.value", "list"),
    ("broken regular expression", stage("s", "attribute_filter", conditions=condition("regex", "(")),
     "stages.0.config.parameters.conditions.value", "("),
    ("no config", {"stage_name": "s"}, "stages.0", "config"),
    ("unknown on_error", stage("s", "sort_attribute", {"on_error": "ignore"}), "stages.0.on_error", "skip"),
    ("a stage type that is another's", stage("s", "sort_attribute", {"stage_type": "filter"}),
     "stages.0.stage_type", "sort"),
]  # fmt: skip


@pytest.mark.parametrize(("definition", "place", "says"), [c[1:] for c in STAGES], ids=[c[0] for c in STAGES])
def test_create_refuses(client: httpx.Client, definition: dict[str, Any], place: str, says: str) -> None:
    name = unique("refused")
    answer = client.post("/retrievers", json={"retriever_name": name, "stages": [definition]})
    envelope = check_error(answer, 422)
    assert place in places(envelope), envelope
    assert says in envelope.error.message
    assert client.get(f"/retrievers/{name}").status_code == 404


def test_every_error_of_a_definition_is_named_at_once(client: httpx.Client) -> None:
    stages = [stage("one", "no_such_stage"), stage("one", "sort_attribute", direction="up")]
    envelope = check_error(
        client.post("/retrievers", json={"retriever_name": "refused", "stages": stages}), 422
    )
    assert {
        "stages.0.config.stage_id", "stages.1.stage_name", "stages.1.config.parameters.direction",
    } <= set(places(envelope))  # fmt: skip


LIST: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("unknown status", "", {"status": "ended"}, 422, "status"),
    ("limit too large", "?limit=1001", {}, 422, "query.limit"),
    ("limit as words", "?limit=many", {}, 422, "query.limit"),
    ("offset too large", "?offset=10001", {}, 422, "query.offset"),
    ("offset below 0", "", {"offset": -1}, 422, "offset"),
    ("page 0", "?page=0", {}, 422, "query.page"),
    ("a cursor that nobody issued", "?cursor=nonsense", {}, 400, ""),
    ("unknown direction", "", {"sorts": [{"field": "status", "direction": "up"}]}, 422, "sorts.0.direction"),
    ("a sort without field", "", {"sorts": [{}]}, 422, "sorts.0.field"),
    ("unknown operator", "", {"filters": {"field": "status", "operator": "like", "value": "x"}}, 422,
     "filters.operator"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "body", "status", "place"), [case[1:] for case in LIST], ids=[case[0] for case in LIST]
)
def test_list_refuses(
    client: httpx.Client, made: str, query: str, body: dict[str, Any], status: int, place: str
) -> None:
    envelope = check_error(client.post(f"/retrievers/{made}/executions/list{query}", json=body), status)
    assert place in [*places(envelope), ""], envelope


PATHS: list[tuple[str, str, int]] = [
    ("GET", "/retrievers/{made}/execute", 405),
    ("DELETE", "/retrievers/{made}/execute", 405),
    ("POST", "/retrievers/{made}/executions/exec_1", 405),
    ("DELETE", "/retrievers/{made}/executions/exec_1", 405),
    ("PUT", "/collections", 405),
    ("GET", "/no-such-thing", 404),
    ("POST", "/retrievers/{made}/executed", 404),
    ("GET", "/retrievers/{made}/executions/exec_unknown", 404),
    ("GET", "/retrievers/{made}/executions/..%2F..%2Fetc%2Fpasswd", 404),
    ("GET", "/retrievers/{made}/executions/%00", 404),
    ("GET", "/retrievers/unknown/executions/exec_1", 404),
    ("POST", "/retrievers/unknown/execute", 404),
    ("POST", "/retrievers/unknown/executions/list", 404),
    ("GET", "/alerts/executions/exec_1", 404),
    ("POST", "/retrievers/unknown/execute/batch", 422),
    ("POST", "/retrievers/unknown/execute/explain", 404),
    ("GET", "/retrievers/{made}/executions/exec_1/status", 404),
    ("GET", "/retrievers/{made}/executions/exec_1/profile", 404),
    ("GET", "/retrievers/execute", 405),
    ("GET", "/retrievers/executions/list", 405),
    ("GET", "/retrievers/{made}/executions/list", 405),
    ("GET", "/retrievers/{made}/execute/batch", 405),
    ("POST", "/retrievers/executions/execute", 405),
    ("GET", "/retrievers/executions/exec_unknown", 404),
    ("GET", "/retrievers/executions/..%2F..%2Fetc%2Fpasswd", 404),
]


@pytest.mark.parametrize(("method", "path", "status"), PATHS)
def test_paths_and_methods(client: httpx.Client, made: str, method: str, path: str, status: int) -> None:
    answer = client.request(method, path.format(made=made), json={} if method in ("POST", "PUT") else None)
    check_error(answer, status)
    if status == 405:
        assert method not in answer.headers["allow"]


@pytest.mark.parametrize(
    ("headers", "status", "says"),
    [
        ({"Authorization": ""}, 401, "Authorization"),
        ({"Authorization": "Bearer sk_wrong_wrong_wrong_wrong"}, 401, "not valid"),
        ({"Authorization": "Basic c2s6c2s="}, 401, "Bearer"),
        ({"Authorization": "Bearer"}, 401, "Bearer"),
        ({"Authorization": "Bearer sk_wrong_wrong_wrong_wrong", "X-Namespace": "nowhere"}, 401, "not valid"),
        ({"X-Namespace": ""}, 400, "X-Namespace"),
        ({"X-Namespace": "nowhere"}, 404, "nowhere"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/retrievers/{made}/execute"),
        ("GET", "/retrievers/{made}/executions/exec_1"),
        ("POST", "/retrievers/{made}/executions/list"),
        ("POST", "/retrievers/execute"),
        ("GET", "/retrievers/executions/exec_1"),
        ("POST", "/retrievers/executions/list"),
        ("POST", "/retrievers/{made}/execute/explain"),
        ("GET", "/retrievers/{made}/executions/exec_1/status"),
        ("GET", "/retrievers/{made}/executions/exec_1/profile"),
    ],
)
def test_who_asks(
    client: httpx.Client, made: str, method: str, path: str, headers: dict[str, str], status: int, says: str
) -> None:
    answer = client.request(method, path.format(made=made), headers=headers)
    envelope = check_error(answer, status)
    assert says in envelope.error.message
    assert "sk_wrong" not in answer.text
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "path", ["/retrievers/{made}/execute", "/retrievers", "/retrievers/{made}/executions/list"]
)
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_a_body_that_is_too_large(client: httpx.Client, made: str, path: str, announced: bool) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"inputs": {"query": "'
        for _ in range(60):
            yield b"x" * 10_000
        yield b'"}}'

    content = b"".join(chunks()) if announced else chunks()
    answer = client.post(
        path.format(made=made), content=content, headers={"Content-Type": "application/json"}
    )
    envelope = check_error(answer, 413)
    assert "500,000 bytes" in envelope.error.message


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("POST", "/retrievers/{made}/execute", "return_presigned_urls=true"),
        ("POST", "/retrievers/{made}/execute", "stream=1"),
        ("POST", "/retrievers/{made}/execute", "return_vectors=maybe"),
        ("POST", "/retrievers/{made}/execute", "explain=2"),
        ("POST", "/retrievers/{made}/execute", "skip_cache=no"),
        ("POST", "/retrievers/{made}/execute", "include_legacy_results=x"),
        ("POST", "/retrievers/execute", "stream=true"),
        ("POST", "/retrievers/execute", "explain=true"),
        ("POST", "/retrievers/execute", "skip_cache=true"),
        ("GET", "/retrievers/{made}/executions/exec_1", "return_vectors=true"),
        ("GET", "/retrievers/{made}/executions/exec_1", "explain=true"),
        ("GET", "/retrievers/{made}/executions/exec_1", "limit=0"),
        ("GET", "/retrievers/{made}/executions/exec_1", "limit=1001"),
        ("GET", "/retrievers/{made}/executions/exec_1", "limit=501"),
        ("GET", "/retrievers/{made}/executions/exec_1", "page_size=501"),
        ("GET", "/retrievers/{made}/executions/exec_1", "offset=-1"),
        ("GET", "/retrievers/{made}/executions/exec_1", "offset=10001"),
        ("GET", "/retrievers/{made}/executions/exec_1", "page=0"),
        ("GET", "/retrievers/{made}/executions/exec_1", "page=two"),
        ("GET", "/retrievers/{made}/executions/exec_1", "method=keyset"),
        ("GET", "/retrievers/{made}/executions/exec_1", "method=scroll&scroll_ttl=10"),
        ("GET", "/retrievers/{made}/executions/exec_1", "cursor=x&offset=3"),
        ("GET", "/retrievers/{made}/executions/exec_1", "cursor=x&scroll_id=x"),
        ("GET", "/retrievers/{made}/executions/exec_1", "method=offset&cursor=x"),
        ("GET", "/retrievers/executions/exec_1", "page_number=0"),
    ],
)
def test_query_parameters_that_are_refused(
    client: httpx.Client, made: str, method: str, path: str, query: str
) -> None:
    body = {"json": GIVEN} if method == "POST" else {}
    envelope = check_error(client.request(method, f"{path.format(made=made)}?{query}", **body), 422)
    names = [part.partition("=")[0] for part in query.split("&")]
    assert places(envelope)[0] in ("query", *(f"query.{name}" for name in names))


@pytest.mark.parametrize("flag", ["return_vectors", "explain", "return_presigned_urls", "stream"])
def test_a_flag_that_is_false_is_accepted(client: httpx.Client, made: str, flag: str) -> None:
    assert client.post(f"/retrievers/{made}/execute?{flag}=false", content=b"{").status_code == 400
    assert client.get(f"/retrievers/{made}/executions/exec_1?{flag}=0").status_code == 404


@pytest.mark.parametrize("key", ["", '""', "x" * 256])
def test_an_idempotency_key_of_a_bad_length(client: httpx.Client, made: str, key: str) -> None:
    answer = post_execute(client, made, GIVEN, Idempotency_Key=key)
    assert "Idempotency-Key" in check_error(answer, 400).error.message


def test_garbage_in_preferences_is_ignored(client: httpx.Client) -> None:
    made = retriever(client, search("trains"), collection_identifiers=["books"])
    answer = post_execute(client, made, Prefer="wait=soon, =, ;;")
    assert answer.status_code == 200
    assert "preference-applied" not in answer.headers
