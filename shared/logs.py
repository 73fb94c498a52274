"""One line per event, for people or for machines, never with a secret in it.

Standard `logging` underneath, so that Celery's, uvicorn's and libraries' own lines look the same.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from shared.clock import iso
from shared.settings import Settings

VALUE_MAX_CHARS = 500
TRACEBACK_MAX_CHARS = 8_000

_LEVELS = {"WARNING": "warn", "CRITICAL": "fatal"}
_NOISY_LOGGERS = ("httpx", "httpcore", "kombu", "amqp", "asyncio")
_FIELDS = "kennel_fields"

_HIDDEN = "***"
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:api_?keys?|keys?|secrets?|passwords?|passwd|authorization|token|cookie|credentials?)$"
)
_SECRET_TEXT = re.compile(
    r"""(?P<key>\bsk_)[A-Za-z0-9_-]+
      | (?P<url>[a-z][a-z0-9+.-]*://[^\s/:@"']*:)[^\s/"']+(?=@)
      | (?P<bearer>\b(?:bearer|basic)\ )[A-Za-z0-9+/=._~-]{8,}""",
    re.VERBOSE | re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BARE = re.compile(r"[^\s\"=]+")


def configure_logging(settings: Settings, process: str) -> None:
    """Send every log line of this process to stdout in Kennel's format.

    Args:
        process: What the line names as its source: "api", "worker", "kennel".
    """
    formatter = JsonFormatter(process) if settings.log_format == "json" else HumanFormatter(process)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in ("uvicorn", "uvicorn.error", "celery"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # The API logs its requests itself (api/middleware.py).
    logging.getLogger("uvicorn.access").handlers.clear()
    logging.getLogger("uvicorn.access").propagate = False
    for name in _NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def log_event(logger: logging.Logger, event: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log that `event` ("execution.completed") happened, with its facts as fields.

    Fields named like a secret are hidden. Costs one comparison when the level is off.
    """
    if logger.isEnabledFor(level):
        logger.log(level, event, extra={_FIELDS: fields}, stacklevel=2)


def mask(text: str) -> str:
    """`text` without API keys, URL passwords and authorization values."""
    return _SECRET_TEXT.sub(lambda m: m[m.lastgroup or 0] + _HIDDEN, text)


class HumanFormatter(logging.Formatter):
    """`12:00:01.123 info  worker  execution.completed execution_id=exec_1 duration_ms=12.3`."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        text = f"{at} {_level(record):<5} {self._process:<7} {_escape(_event(record))}"
        for name, value in _fields(record).items():
            text += f" {name}={_human(value)}"
        return mask(text)


class JsonFormatter(logging.Formatter):
    """One object per line: ts, level, process, event, then the fields."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        head = {
            "ts": iso(int(record.created * 1000)),
            "level": _level(record),
            "process": self._process,
            "event": _event(record),
        }
        body = {name: value for name, value in _fields(record).items() if name not in head}
        text = orjson.dumps({**head, **body}, default=str).decode()
        return mask(_CONTROL.sub(lambda m: f"\\u{ord(m[0]):04x}", text))


def _level(record: logging.LogRecord) -> str:
    return _LEVELS.get(record.levelname, record.levelname.lower())


def _event(record: logging.LogRecord) -> str:
    """The event's name; for a library's line its logger and text."""
    if hasattr(record, _FIELDS):
        return record.getMessage()
    return _cut(f"{record.name}: {record.getMessage()}", VALUE_MAX_CHARS * 4)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = _safe(getattr(record, _FIELDS, {}))
    if record.exc_info and record.exc_info[0] is not None:
        trace = logging.Formatter().formatException(record.exc_info)
        fields["traceback"] = trace[-TRACEBACK_MAX_CHARS:]
    return fields


def _safe(fields: Mapping[Any, Any]) -> dict[str, Any]:
    """The fields with secrets hidden, also inside mappings, and long texts cut."""
    return {str(name): _HIDDEN if _is_secret(name) else _shown(value) for name, value in fields.items()}


def _is_secret(name: object) -> bool:
    return _SECRET_NAME.search(str(name).lower().replace("-", "_")) is not None


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _safe(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return _cut(str(value), VALUE_MAX_CHARS)


def _cut(text: str, max_chars: int) -> str:
    """At most `max_chars` of the text, with halves of surrogate pairs, which no encoding takes, escaped."""
    shown = text if len(text) <= max_chars else f"{text[:max_chars]}… ({len(text)} chars)"
    return shown.encode(errors="backslashreplace").decode()


def _human(value: Any) -> str:
    """A bare word as it is, anything else quoted, always on one line."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return _escape(orjson.dumps(value, default=str).decode())
    text = str(value)
    if _BARE.fullmatch(text) and not _CONTROL.search(text):
        return text
    return '"' + _escape(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _escape(text: str) -> str:
    """Control characters and line separators as visible escapes (`\\n`, `\\x1b`)."""
    return _CONTROL.sub(lambda m: m[0].encode("unicode_escape").decode(), text)
