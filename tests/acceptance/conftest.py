"""Fixtures of the acceptance tests: whole stacks of real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.commands import Run
from tests.contract.scenes import BY_YEAR, SERVICE_THREADS, book, retriever, write
from tests.stack import Stack, stack


@pytest.fixture(scope="module")
def kennel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests of a module; they start and stop the workers themselves."""
    directory: Path = tmp_path_factory.mktemp("kennel")
    with stack(directory) as made:
        yield made


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack with one worker of four threads, for all tests that break nothing."""
    directory: Path = tmp_path_factory.mktemp("service")
    with stack(directory, KENNEL_BODY_MAX_BYTES="500000") as made:
        made.start_worker("service", threads=SERVICE_THREADS)
        yield made


@pytest.fixture(scope="module")
def client(service: Stack, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client in a namespace of the module's own."""
    with service.namespace(request.module.__name__.rpartition(".")[2].replace("_", "-")) as client:
        yield client


@pytest.fixture
def command(service: Stack, client: httpx.Client, tmp_path: Path) -> Run:
    """`kennel` as a program, in the module's namespace and a directory of the test's own."""
    return Run(service, client.headers["X-Namespace"], tmp_path)


@pytest.fixture(scope="module")
def books(client: httpx.Client) -> str:
    """Id of a collection `books`: 45 documents "book <n>" with `genre` and `year`."""
    created = client.post("/collections", json={"collection_name": "books"})
    collection_id: str = created.json()["collection_id"]
    write(client, "books", [book(number) for number in range(45)])
    return collection_id


@pytest.fixture(scope="module")
def by_year(client: httpx.Client, books: str) -> str:
    """Id of a retriever that finds all of `books` in the order of their ids."""
    return retriever(client, BY_YEAR, collection_identifiers=["books"])
