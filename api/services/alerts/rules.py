"""What of an alert fits together: its source, its rule, and its inputs beside its retriever's schema."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from shared.errors import FieldError, InvalidInput, raise_invalid
from shared.models.alert import Alert, Attachment
from shared.models.resource import RetrieverRecord
from shared.submission import submit_plan

Loc = Sequence[str | int]

_OF_A_RETRIEVER = ("retriever_id", "inputs", "threshold")


def check_alert(alert: Alert) -> None:
    """
    Raises:
        InvalidInput: naming each field that does not go with the others.
    """
    errors = _source_errors(alert)
    if alert.trigger_on == "no_results":
        if alert.threshold is not None:
            errors.append(_error("threshold", "compares the first row, and with no_results there is none"))
        if alert.min_count > 1:
            errors.append(_error("min_count", "counts rows; with no_results leave it out or send null"))
    raise_invalid(errors)


def _source_errors(alert: Alert) -> list[FieldError]:
    if alert.source == "retriever":
        errors = []
        if alert.retriever_id is None:
            errors.append(_error("retriever_id", "must name the retriever that the alert runs", "missing"))
        if alert.system_condition is not None:
            errors.append(_error("system_condition", "needs source system; this alert runs a retriever"))
        return errors
    errors = [
        _error(name, "is of alerts that run a retriever; leave it out with source system")
        for name in _OF_A_RETRIEVER
        if getattr(alert, name)
    ]
    if alert.trigger_on != "results" or alert.min_count > 1:
        errors.append(_error("trigger_on", "counts rows of a retriever; system_condition.params says when"))
    if alert.system_condition is None:
        errors.append(_error("system_condition", "must say which metric the alert watches", "missing"))
    return errors


def warnings_of(alert: Alert) -> list[str]:
    """What is accepted, but may not be what was meant."""
    again = alert.renotify_interval_seconds
    if again is not None and again < alert.cooldown_seconds:
        return [f"cooldown_seconds wins over the shorter renotify_interval_seconds of {again}"]
    return []


def check_inputs(retriever: RetrieverRecord, alert: Alert, *, complete: bool) -> None:
    """
    Args:
        complete: Whether it runs with these alone, so that none that is required may be missing.

    Raises:
        InvalidInput: an input that the retriever does not know, of a wrong type, or missing.
    """
    raise_invalid(_input_errors(retriever, alert.inputs, ("inputs",), optional=None if not complete else ()))


def check_attachment(retriever: RetrieverRecord, alert: Alert, attachment: Attachment, at: Loc) -> None:
    """That the alert's inputs and the mapped ones are all that its retriever needs.

    What comes from a document is checked when it runs; it may be missing there. The contract wants at least
    one mapping, so what is mapped to a retriever without inputs is ignored.

    Raises:
        InvalidInput: at `at`, naming the input.
    """
    if not _known_inputs(retriever):
        return
    mappings = attachment.input_mappings
    constants = {each.input_key: each.value for each in mappings if each.source_type == "constant"}
    mapped = {each.input_key for each in mappings if each.source_type == "document_field"}
    own = {name: value for name, value in alert.inputs.items() if name not in mapped}
    errors = _unknown_errors(retriever, mapped, at)
    errors += _input_errors(retriever, {**own, **constants}, at, optional=mapped)
    raise_invalid(errors)


def _input_errors(
    retriever: RetrieverRecord, inputs: Mapping[str, Any], at: Loc, *, optional: Collection[str] | None
) -> list[FieldError]:
    """`optional` need not be there; None: none of them needs to."""
    errors = _unknown_errors(retriever, inputs, at)
    try:
        submit_plan(retriever).validate(inputs)
    except InvalidInput as error:
        errors += [each for each in error.moved(*at, drop=1).errors if not _excused(each, len(at), optional)]
    return errors


def _excused(error: FieldError, depth: int, optional: Collection[str] | None) -> bool:
    """Whether an input is missing that need not be there; what is inside of one that is there must be."""
    if error["type"] != "missing" or len(error["loc"]) > depth + 1:
        return False
    return optional is None or error["loc"][depth] in optional


def _unknown_errors(retriever: RetrieverRecord, names: Collection[str], at: Loc) -> list[FieldError]:
    known = _known_inputs(retriever)
    words = f"is no input of the retriever {retriever.name!r}; it has {', '.join(sorted(known)) or 'none'}"
    return [
        {"loc": [*at, name], "msg": words, "type": "unknown_input"} for name in names if name not in known
    ]


def _known_inputs(retriever: RetrieverRecord) -> frozenset[str]:
    """Those of its schema, and those that its templates use."""
    plan = submit_plan(retriever)
    return plan.schema_keys | plan.used_keys


def _error(field: str, msg: str, type_: str = "value_error") -> FieldError:
    return {"loc": [field], "msg": msg, "type": type_}
