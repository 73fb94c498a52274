"""Requests generated from the OpenAPI document: none breaks the API, every answer is as the document says.

A run is repeated with FUZZ_SEED; `make fuzz` sends ten times as many requests.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode, openapi
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

EXAMPLES = int(
    os.environ.get("FUZZ_EXAMPLES", "36")
)  # of each operation; a third as many of the other two kinds
REQUESTS_MIN = 2_000
SUCCESSES_MIN = 0.3
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


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


def generate(
    operation: APIOperation[Any, Any, Any], mode: GenerationMode, count: int, run_seed: int, sender: Sender
) -> None:
    """Send `count` cases of an operation, or all there are if those are fewer."""

    @seed(run_seed)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Case) -> None:
        sender.send(case)

    send()


@pytest.mark.timeout(240)
def test_no_generated_request_breaks_the_api_or_its_document(service: Stack, world: World) -> None:
    run_seed = int(os.environ.get("FUZZ_SEED") or random.getrandbits(32))
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
        for described, mode, count in kinds:
            for operation in operations(described, mode):
                generate(operation, mode, count, run_seed, sender)
    repeat = f"repeat with FUZZ_SEED={run_seed}"
    assert not sender.failures, "\n\n".join([repeat, *sender.failures.values()])
    assert sender.statuses.total() >= REQUESTS_MIN, (repeat, sender.statuses)
    described = {operation.label for operation in operations(document, GenerationMode.POSITIVE)}
    assert described - sender.succeeded == set(), repeat
    assert sender.statuses["2xx"] >= SUCCESSES_MIN * sender.statuses.total(), (repeat, sender.statuses)
