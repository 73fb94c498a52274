"""Every error has a status, a type and the one envelope."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

import api.errors  # noqa: F401  # defines two more branches
import shared.errors as domain
from api.errors import BRANCHES, error_response, from_http, from_validation

RETRYABLE_STATUSES = {429, 503}


def _tree(base: type[domain.KennelError] = domain.KennelError) -> Iterator[type[domain.KennelError]]:
    yield base
    for child in base.__subclasses__():
        yield from _tree(child)


CLASSES = sorted(set(_tree()), key=lambda each: each.__name__)


@pytest.mark.parametrize("error_class", CLASSES, ids=lambda each: each.__name__)
def test_every_error_is_one_envelope(error_class: type[domain.KennelError]) -> None:
    status, headers, body = error_response(error_class("what, which, what next", details={"x": 1}))
    envelope = orjson.loads(body)
    assert (envelope["success"], envelope["status"]) == (False, status)
    error = envelope["error"]
    assert error["type"].endswith("Error")
    assert error["code"]
    names = dict(headers)
    assert names[b"content-type"] == b"application/json"
    assert int(names[b"content-length"]) == len(body)
    assert (b"retry-after" in names) == (status in RETRYABLE_STATUSES)
    if status != 500:
        assert (error["message"], error["details"]["x"]) == ("what, which, what next", 1)


def test_only_what_never_reaches_a_client_is_500() -> None:
    internal = {each.__name__ for each in CLASSES if error_response(each("x"))[0] == 500}
    assert internal == {
        "KennelError",
        "StageError",
        "BudgetExceeded",
        "EmbeddingRefused",
        "EmbeddingUnusable",
        "OutOfTime",
        "TransientError",
    }


def test_codes_and_types_are_unique() -> None:
    codes = [each.code for each in CLASSES]
    assert len(set(codes)) == len(codes)
    types = [type_name for _, type_name in BRANCHES.values()]
    assert len(set(types)) == len(types)


def test_a_subclass_has_the_status_of_its_branch() -> None:
    class NoSuchThing(domain.NotFound):
        code = "no_such_thing"

    assert error_response(NoSuchThing("x"))[0] == 404


def test_an_unexpected_error_shows_nothing_of_itself() -> None:
    status, _, body = error_response(ValueError("the password is hunter2"))
    assert status == 500
    assert b"hunter2" not in body
    assert b"ValueError" not in body


def test_retry_after_is_whole_seconds_and_agrees_with_the_details() -> None:
    error = domain.LimitExceeded("full", details={"retry_after_seconds": 1.2})
    _, headers, body = error_response(error)
    assert dict(headers)[b"retry-after"] == b"2"
    assert orjson.loads(body)["error"]["details"]["retry_after_seconds"] == 1.2


def test_an_unknown_outcome_must_not_be_retried() -> None:
    status, _, body = error_response(domain.OutcomeUnknown("?", details={"execution_id": "exec_1"}))
    assert status == 504
    assert orjson.loads(body)["error"]["details"] == {"execution_id": "exec_1", "retryable": False}


def test_validation_reports_places_from_the_bodys_root() -> None:
    errors = [
        {
            "loc": ("body", "stages", 0, "name"),
            "msg": "Value error, is bad",
            "type": "value_error",
            "input": "x" * 999,
        },
        {"loc": ("query", "limit"), "msg": "too big", "type": "less_than", "input": {"a": object()}},
        {"loc": ("body",), "msg": "Field required", "type": "missing", "input": None},
    ]
    error = from_validation(RequestValidationError(errors))
    assert isinstance(error, domain.InvalidInput)
    assert error.message == "stages[0].name: is bad (and 2 more)"
    assert [each["loc"] for each in error.errors] == [["stages", 0, "name"], ["query", "limit"], []]
    assert len(error.errors[0]["input"]) == 200
    assert "input" not in error.errors[1]


def test_validation_reports_at_most_fifty_places() -> None:
    errors = [{"loc": ("body", n), "msg": "bad", "type": "x", "input": 0} for n in range(80)]
    error = from_validation(RequestValidationError(errors))
    assert isinstance(error, domain.InvalidInput)
    assert len(error.errors) == 50
    assert "79 more" in error.message


@pytest.mark.parametrize(("status", "expected"), [(404, 404), (405, 405), (400, 400)])
def test_the_frameworks_own_refusals_are_ours(status: int, expected: int) -> None:
    assert error_response(from_http(HTTPException(status)))[0] == expected
