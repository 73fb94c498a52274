"""What every operation has in common: bodies, limits, errors, paths, the OpenAPI document."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.errors import METHODS
from api.main import build_app
from api.routes.not_built import OPERATIONS
from shared.errors import InvalidInput
from shared.settings import Settings
from tests.conftest import API_KEY, serve
from tests.integration.api.answers import ok, places, refused
from tests.servers import free_port, redis_server
from tests.waiting import wait_until

CREATE = "/v1/collections"
NOT_SUPPORTED = "Not supported yet."  # starts the description of a field that is always refused


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not valid JSON"),
        (b'{"collection_name": "abc",}', "not valid JSON"),
        (b'{"collection_name": NaN}', "not valid JSON"),
        (b'{"metadata": {"n": Infinity}}', "not valid JSON"),
        (b'{"metadata": {"n": 1e999}}', "not valid JSON"),
        (b'{"collection_name": "\\ud800abc"}', "not valid JSON"),
        (b'{"collection_name": "\xff\xfe"}', "not valid JSON"),
        (b'{"metadata": {"n": 9223372036854775808}}', "64 bits"),
        (b'{"metadata": {"n": -9223372036854775809}}', "64 bits"),
        (b'{"metadata": {"n": ' + b"9" * 300 + b"}}", "64 bits"),
        (b'{"metadata": {"n": ' + b"9" * 5000 + b"}}", "not valid JSON"),
        (b'{"metadata": ' + b"[" * 60 + b"]" * 60 + b"}", "deeper than 40"),
        (b'{"metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""),
    ],
)
def test_a_body_that_is_not_strict_json_is_400(api: httpx.Client, body: bytes, words: str) -> None:
    error = refused(api.post(CREATE, content=body), 400, words)
    assert (error["type"], error["code"]) == ("BadRequestError", "invalid_json")


def test_64_bit_integers_and_forty_levels_are_kept(api: httpx.Client) -> None:
    deep: Any = 0
    for _ in range(38):
        deep = [deep]
    metadata = {"least": -(2**63), "most": 2**63 - 1, "text": "9" * 30, "deep": deep}
    created = ok(api.post(CREATE, json={"collection_name": "abc", "metadata": metadata}))
    assert ok(api.get(f"/v1/collections/{created['collection_id']}"))["metadata"] == metadata


def test_the_label_of_a_body_does_not_matter(api: httpx.Client) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}  # what curl -d sends by default
    ok(api.post(CREATE, content=b'{"collection_name": "abc"}', headers=form))
    refused(api.post(CREATE, content=b"collection_name=abc", headers=form), 400, "JSON")
    ok(api.post(CREATE, content=b'{"collection_name": "abcd"}'))


def test_a_missing_body_is_422(api: httpx.Client) -> None:
    refused(api.post(CREATE), 422)


def test_a_body_over_the_limit_is_413_announced_or_not(api: httpx.Client, settings: Settings) -> None:
    body = b'{"collection_name": "' + b"x" * settings.body_max_bytes + b'"}'

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    for content in (body, chunks()):
        error = refused(api.post(CREATE, content=content), 413)
        assert error["type"] == "TooLargeError"
        assert error["details"]["body_max_bytes"] == settings.body_max_bytes
    ok(api.get(CREATE))


def test_validation_errors_are_in_the_envelope(api: httpx.Client) -> None:
    error = refused(api.post(CREATE, json={"collection_name": 5, "source": []}), 422)
    assert places(error) == [["collection_name"], ["source"]]
    assert error["details"]["validation_errors"][0]["input"] == 5


def test_an_unknown_path_is_404_and_a_wrong_method_405(api: httpx.Client) -> None:
    assert refused(api.get("/v1/nothing"), 404)["type"] == "NotFoundError"
    assert refused(api.get("/"), 404)["code"] == "no_such_path"
    response = api.put("/v1/collections")
    assert refused(response, 405)["type"] == "MethodNotAllowedError"
    assert response.headers["Allow"] == "GET, POST"


def _fits(asked: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{.*?\}", "[^/]+", path), asked) is not None


def test_each_method_that_a_path_does_not_take_is_405(api: httpx.Client) -> None:
    paths = {
        path: {verb.upper() for verb in operations}
        for path, operations in ok(api.get("/v1/openapi.json"))["paths"].items()
    }
    for path, own in paths.items():
        asked = re.sub(r"\{.*?\}", "x", path)
        # A fixed word of this path may be an id in another: /documents/list, /documents/{document_id}.
        taken = {verb for other in paths if _fits(asked, other) for verb in paths[other]}
        for verb in set(METHODS) - taken:
            response = api.request(verb, asked, json={})
            assert refused(response, 405, "this path takes ")["type"] == "MethodNotAllowedError"
            assert own <= set(response.headers["Allow"].split(", ")) <= taken, (verb, asked)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/retrievers/typeahead"),
        ("GET", "/v1/analytics/retrievers/x/performance"),
        ("PATCH", "/v1/collections/x/documents/y/acl"),
        ("GET", "/v1/retrievers/benchmarks/x"),
        ("GET", "/v1/retrievers/x/learned-fusion/weights/y"),
        ("DELETE", "/v1/organizations/secrets/x"),
        ("POST", "/v1/organizations/alerts/list"),
        ("GET", "/v1/organizations/users/a@b"),
    ],
)
def test_what_is_not_built_is_501(api: httpx.Client, method: str, path: str) -> None:
    error = refused(api.request(method, path, json={}), 501, "not built yet")
    assert error["type"] == "NotImplementedError"


def test_the_readme_names_all_that_is_not_built() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    [said] = re.findall(r"- \*\*Answered with 501\*\*: (.*?)\n- ", readme, re.DOTALL)
    common = {"retrievers", "collections", "documents", "organizations", "score", ""}
    for line in OPERATIONS.strip().split("\n"):
        words = set(re.sub(r"\{.*?\}", "", line.split()[1]).split("/")) - common
        assert not words or any(word in said for word in words), line


def test_the_readme_names_each_field_that_is_refused() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    [said] = re.findall(r"- \*\*Refused with 422\*\*: (.*?)\n- ", readme, re.DOTALL)
    schemas = build_app(Settings()).openapi()["components"]["schemas"].values()
    refused_fields = {
        name
        for schema in schemas
        for name, field in schema.get("properties", {}).items()
        if field.get("description", "").startswith(NOT_SUPPORTED)
    }
    assert "acl" in refused_fields
    assert {name for name in refused_fields if f"`{name}`" not in said} == set()


def test_nothing_that_is_served_is_shadowed_as_not_built(settings: Settings, api: httpx.Client) -> None:
    document = ok(api.get("/v1/openapi.json"))
    for path, operations in document["paths"].items():
        for method in operations:
            assert api.request(method, re.sub(r"\{.*?\}", "x", path)).status_code != 501, (method, path)


def test_the_document_is_generated_without_a_running_api(settings: Settings) -> None:
    assert build_app(settings).openapi()["security"] == [{"api_key": []}]


def test_a_bootstrap_key_that_is_none_stops_the_start(settings: Settings) -> None:
    app = build_app(settings.model_copy(update={"api_key": SecretStr("not a key")}))

    async def start() -> None:
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(InvalidInput, match="sk_"):
        asyncio.run(start())


@pytest.fixture
def redis_away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, int]]:
    """An API that was started while its Redis is away, and the port where it is expected."""
    port = free_port()
    settings = Settings(
        redis_url=f"redis://127.0.0.1:{port}/0",
        data_dir=tmp_path_factory.mktemp("data"),
        api_key=API_KEY,
        redis_timeout_s=0.3,
    )
    headers = {"Authorization": f"Bearer {API_KEY}", "X-Namespace": "x"}
    with serve(settings) as url, httpx.Client(base_url=url, headers=headers, timeout=30) as client:
        yield client, port


def test_without_redis_the_api_answers_503_and_recovers(
    redis_away: tuple[httpx.Client, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    client, port = redis_away
    assert ok(client.get("/v1/health/liveness")) == {"status": "ok"}
    health = client.get("/v1/health")
    assert (health.status_code, health.json()["redis"]) == (503, "down")
    for response in (client.get("/v1/me"), client.post(CREATE, json={"collection_name": "abc"})):
        error = refused(response, 503)
        assert error["type"] == "ServiceUnavailableError"
        assert int(response.headers["Retry-After"]) == error["details"]["retry_after_seconds"]
    with redis_server(tmp_path_factory.mktemp("redis"), port):
        # The bootstrap key is written as soon as there is a Redis to write it to.
        wait_until(lambda: client.get("/v1/me").status_code == 200, 10, "the bootstrap key to work")
        wait_until(lambda: client.get("/v1/health").json()["status"] == "degraded", 10, "health to recover")
