"""What the answer of an HTTP receiver means."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from http import HTTPStatus

from shared.clock import now_ms
from shared.models.delivery import EXCERPT_BYTES
from shared.outbound.errors import OutboundFailed, OutboundRefused
from shared.outbound.guard import OutboundGuard
from shared.outbound.http import Response, post
from shared.outbound.urls import parse_url
from workers.deliveries.answer import Answer


def posted(
    url: str, headers: dict[str, str], body: bytes, guard: OutboundGuard, *, timeout_s: float
) -> Answer:
    """Send it, and say what came of that; never raises for what the other side does."""
    try:
        response = post(parse_url(url), headers, body, guard, timeout_s=timeout_s, keep_bytes=EXCERPT_BYTES)
    except OutboundRefused as error:
        return Answer(str(error), is_final=True)
    except OutboundFailed as error:
        return Answer(str(error))
    return answer_of(response)


def answer_of(response: Response) -> Answer:
    """2xx is success, 410 ends it for good (Standard Webhooks), all else is tried again; no redirects."""
    status, excerpt = response.status_code, response.start.decode("utf-8", "replace")
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Answer(None, status, excerpt)
    error = f"the receiver answered {status}"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        error += "; redirects are not followed"
    return Answer(
        error,
        status,
        excerpt,
        retry_after_s=_retry_after_s(response.headers.get("retry-after", "")),
        is_gone=status == HTTPStatus.GONE,
    )


def _retry_after_s(text: str) -> float | None:
    """Seconds or a date (RFC 9110, 10.2.3); None for anything else."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, at.timestamp() - now_ms() / 1000)
