from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator

import pytest

from shared.logs import HumanFormatter, JsonFormatter, configure_logging, log_event, mask
from shared.settings import Settings

SECRET = "sk_0123456789abcdefghij"


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(capsys: pytest.CaptureFixture[str], log_format: str, event: str, **fields: object) -> str:
    configure_logging(Settings(log_format=log_format, log_level="info"), "worker")
    log_event(logging.getLogger("kennel.test"), event, **fields)
    return capsys.readouterr().out


def test_human_line_has_time_level_process_event_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    line = logged(
        capsys, "human", "execution.completed", execution_id="exec_1", duration_ms=12.3456789, attempt=1
    )
    at, rest = line.split(" ", 1)
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", at)
    assert rest == "info  worker  execution.completed execution_id=exec_1 duration_ms=12.3457 attempt=1\n"


def test_json_line_is_one_object_with_the_same_facts(capsys: pytest.CaptureFixture[str]) -> None:
    entry = json.loads(logged(capsys, "json", "execution.completed", execution_id="exec_1", attempt=1))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("ts"))
    assert entry == {
        "level": "info",
        "process": "worker",
        "event": "execution.completed",
        "execution_id": "exec_1",
        "attempt": 1,
    }


@pytest.mark.parametrize("log_format", ["human", "json"])
@pytest.mark.parametrize(
    "nasty", ["a\nb", "a\r\nb", "a\x1b[31mb", "a\u2028b", "a\x85b", 'a" level=fatal "b', "a\x00b", "a\ud800b"]
)
def test_a_value_cannot_break_out_of_its_line(
    capsys: pytest.CaptureFixture[str], log_format: str, nasty: str
) -> None:
    out = logged(capsys, log_format, "stage.failed", message=nasty, nested={"text": nasty})
    assert len(out.splitlines()) == 1
    assert "\x1b" not in out
    assert 'message="a" level' not in out


def test_a_message_of_a_library_cannot_break_out_either(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(), "api")
    logging.getLogger("some.library").warning("first\nsecond %s", "third\rfourth")
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert "warn  api     some.library: first\\nsecond third\\rfourth" in out


def test_an_exception_is_logged_on_one_line_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(), "api")
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        logging.getLogger("some.library").exception("failed")
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert "RuntimeError: boom" in out


@pytest.mark.parametrize("log_format", ["human", "json"])
@pytest.mark.parametrize(
    "name", ["key", "api_key", "secret", "client_secret", "password", "authorization", "token", "X-Api-Key"]
)
def test_fields_named_like_a_secret_are_hidden_at_any_depth(
    capsys: pytest.CaptureFixture[str], log_format: str, name: str
) -> None:
    out = logged(capsys, log_format, "call", **{name: "hunter2"}, headers={name: "hunter2"})
    assert "hunter2" not in out
    assert out.count("***") == 2


def test_fields_that_only_tell_keys_apart_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    out = logged(capsys, "human", "key.created", key_id="key_1", key_prefix="sk_01234", token_count=3)
    assert "key_id=key_1" in out
    assert "token_count=3" in out


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"key {SECRET} used", "key sk_*** used"),
        ("redis://:p4ss@host:6379/0", "redis://:***@host:6379/0"),
        ("rediss://me:p4ss@host/0 and http://a:b@c", "rediss://me:***@host/0 and http://a:***@c"),
        ("redis://:p@ss@host:6379/0", "redis://:***@host:6379/0"),
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer ***"),
        ("http://127.0.0.1:8000/v1/health", "http://127.0.0.1:8000/v1/health"),
        ("task_sk_ and ask_me", "task_sk_ and ask_me"),
    ],
)
def test_mask_hides_secrets_and_nothing_else(text: str, shown: str) -> None:
    assert mask(text) == shown


@pytest.mark.parametrize("formatter", [HumanFormatter("api"), JsonFormatter("api")])
def test_secrets_inside_messages_and_tracebacks_are_masked(formatter: logging.Formatter) -> None:
    try:
        raise ValueError(f"bad {SECRET}")
    except ValueError as error:
        record = logging.LogRecord(
            "lib", logging.ERROR, "f", 1, "redis://:p4ss@h", None, (ValueError, error, error.__traceback__)
        )
    line = formatter.format(record)
    assert "p4ss" not in line
    assert SECRET not in line


def test_long_values_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(logged(capsys, "human", "event", text="x" * 100_000)) < 700


def test_a_disabled_level_formats_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise AssertionError("formatted although the level is off")

    configure_logging(Settings(log_level="warning"), "api")
    log_event(logging.getLogger("kennel.test"), "event", value=Unprintable())
    assert capsys.readouterr().out == ""
