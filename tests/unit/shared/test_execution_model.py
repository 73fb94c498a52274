"""The parts of an execution as they are stored."""

from __future__ import annotations

import orjson

from shared.models.execution import Detail, ExecutionRequest, Page, with_limits

CAP = {"name": "expand", "requested": 60, "applied": 50, "ceiling": 50}


def test_a_request_survives_its_way_to_the_worker() -> None:
    request = ExecutionRequest(
        inputs={"query": "x"},
        collection_ids=["col_1"],
        page=Page("keyset", 5, after={"year": None, "id": "doc_1"}),
        expand=["parent"],
        return_vectors=True,
        consistency={"mode": "strong", "max_staleness_ms": None},
        write_token="token",
    )
    assert ExecutionRequest.from_json(request.to_json()) == ExecutionRequest(
        **{**{name: getattr(request, name) for name in request.__slots__}, "warnings": []}
    )


def test_caps_are_added_behind_those_that_are_there() -> None:
    other = {**CAP, "name": "top_k"}
    detail = Detail({}, {}, documents=[{"document_id": "d"}], limits=[other]).to_json()
    body = orjson.loads(b"{" + with_limits(detail, [CAP])[1:])
    assert body.pop("limits") == [other, CAP]
    assert {**body, "limits": [other]} == orjson.loads(b"{" + detail[1:])
    assert with_limits(detail, []) is detail
