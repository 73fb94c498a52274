"""The demo's alert is one that the API takes, of a retriever of the demo, with inputs that this knows."""

from __future__ import annotations

from api.schemas.alerts import AlertCreate
from ops.demo_alert import ALERT, alert, application
from ops.demo_retrievers import retrievers
from shared.inputs import compile_inputs
from shared.models.alert import Mode, attachments_of


def test_its_body_is_taken_without_a_warning() -> None:
    made = AlertCreate.model_validate(alert())
    assert (made.name, made.warnings()) == (ALERT, [])


def test_its_inputs_are_all_that_its_retriever_needs() -> None:
    [retriever] = [each for each in retrievers() if each["retriever_name"] == alert()["retriever_id"]]
    assert alert()["inputs"].keys() <= retriever["input_schema"].keys()
    compile_inputs(retriever["input_schema"])(alert()["inputs"])


def test_a_write_starts_one_run() -> None:
    [attachment] = attachments_of({"alert_applications": [application()]}, Mode.ON_INGEST)
    assert attachment.alert_id == ALERT
    assert not attachment.reads_document
