"""Requests generated from the OpenAPI document: none breaks the API, every answer is as the document says.

The seed is the same in every `make test`; `make fuzz` draws another one and sends ten times as many requests.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode, openapi, serializer
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.world import World, make_world
from tests.stack import API_KEY, Stack, stack

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "18"))  # of each operation; a third as many of the other kinds
SEED = int(os.environ.get("FUZZ_SEED", "1"))
REQUESTS_MIN = 2_000
# Nobody is sent anything here, so there is none: test_webhooks.py has receivers.
OF_WEBHOOKS = "/webhooks/{webhook_id}"
SUCCESSES_MIN = 0.3
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@serializer("application/x-ndjson")
def ndjson(_context: Any, line: Any) -> bytes:
    """What is described is a line; a body has any number of them."""
    return json.dumps(line).encode() + b"\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that nobody else uses: the requests delete what they find."""
    directory: Path = tmp_path_factory.mktemp("generated")
    with stack(directory) as made:
        made.start_worker("generated", threads=2)
        yield made


@pytest.fixture(scope="module")
def world(service: Stack) -> Iterator[World]:
    with service.namespace("demo") as client:
        yield make_world(service, client)
    service.open("held")


@dataclass(slots=True)
class Sender:
    """Sends every case and keeps count; what is wrong is collected, so that one run shows all of it."""

    base_url: str
    session: requests.Session
    statuses: Counter[str] = field(default_factory=Counter)
    succeeded: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)

    def send(self, case: Case) -> None:
        response = case.call(base_url=self.base_url, session=self.session)
        self.statuses[f"{response.status_code // 100}xx"] += 1
        if response.status_code < 300:
            self.succeeded.add(case.operation.label)
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as group:
            kinds = ", ".join(sorted(type(failure).__name__ for failure in group.exceptions))
            self.failures.setdefault(f"{case.operation.label} {response.status_code} {kinds}", str(group))


def operations(document: dict[str, Any], mode: GenerationMode) -> Iterator[APIOperation[Any, Any, Any]]:
    """All that can be called in this mode: where nothing is sent, nothing can be wrong."""
    for found in openapi.from_dict(document).get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.POSITIVE or operation.body or any(operation.iter_parameters()):
            yield operation


def generate(cases: SearchStrategy[Case], count: int, sender: Sender) -> None:
    """Send `count` cases, or all there are if those are fewer."""

    @seed(SEED)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def send(case: Case) -> None:
        sender.send(case)

    send()


@pytest.mark.timeout(20 * EXAMPLES)  # wins over the command line
def test_no_generated_request_breaks_the_api_or_its_document(service: Stack, world: World) -> None:
    document = httpx.get(f"{service.base_url}/v1/openapi.json").json()
    inside = world.inside(document)
    kinds = (
        (inside, GenerationMode.POSITIVE, EXAMPLES),
        (document, GenerationMode.POSITIVE, EXAMPLES // 3),
        (inside, GenerationMode.NEGATIVE, EXAMPLES // 3),
    )
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {API_KEY}"
        sender = Sender(service.base_url, session)
        for operation in operations(inside, GenerationMode.POSITIVE):
            for examples in operation.get_strategies_from_examples():
                generate(examples, 1, sender)
        for described, mode, count in kinds:
            for operation in operations(described, mode):
                generate(operation.as_strategy(generation_mode=mode), count, sender)
    repeat = f"repeat with FUZZ_SEED={SEED}"
    assert not sender.failures, "\n\n".join([repeat, *sender.failures.values()])
    assert sender.statuses.total() >= REQUESTS_MIN, (repeat, sender.statuses)
    described = {operation.label for operation in operations(document, GenerationMode.POSITIVE)}
    expected = {label for label in described if OF_WEBHOOKS not in label}
    assert expected - sender.succeeded == set(), repeat
    assert sender.statuses["2xx"] >= SUCCESSES_MIN * sender.statuses.total(), (repeat, sender.statuses)
