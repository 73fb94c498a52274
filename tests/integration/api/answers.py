"""What the API's tests ask of an answer."""

from __future__ import annotations

from typing import Any

import httpx


def ok(response: httpx.Response) -> Any:
    """The body of a 200."""
    assert response.status_code == 200, response.text
    return response.json()


def refused(response: httpx.Response, status: int, words: str = "") -> dict[str, Any]:
    """The error of an answer with this status whose message holds `words`."""
    assert response.status_code == status, response.text
    envelope = response.json()
    assert (envelope["success"], envelope["status"]) == (False, status)
    error: dict[str, Any] = envelope["error"]
    assert set(error) == {"message", "type", "code", "details"}
    assert words in error["message"], error["message"]
    return error


def places(error: dict[str, Any]) -> list[list[str | int]]:
    """Where a 422 says that something is wrong."""
    return [each["loc"] for each in error["details"]["validation_errors"]]


def retriever(name: str, **over: Any) -> dict[str, Any]:
    """A body that creates a retriever of one stage."""
    stage = {
        "stage_name": "sorted",
        "config": {"stage_id": "sort_attribute", "parameters": {"field": "year", "direction": "desc"}},
    }
    return {"retriever_name": name, "stages": [stage], **over}
