"""Mail by the server that the operator has set: with TLS where a password goes, and with timeouts."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cache
from urllib.parse import SplitResult, unquote, urlsplit

from shared.outbound.errors import OutboundFailed

_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class SmtpServer:
    host: str
    port: int
    uses_tls: bool  # from the first byte on; else STARTTLS where the server offers it
    user: str
    password: str


def parse_smtp_url(text: str) -> SmtpServer:
    """Read `smtp://` or `smtps://`, host, and where they are needed user, password and port.

    Raises:
        ValueError: it is no such URL. The message does not repeat it: it may hold a password.
    """
    try:
        url = urlsplit(text)
        port = url.port or _PORTS[url.scheme]
    except (ValueError, KeyError):
        raise ValueError("KENNEL_SMTP_URL must be like smtp://user:password@host:587") from None
    if not url.hostname or _has_more(url):
        raise ValueError("KENNEL_SMTP_URL must name a host and nothing behind its port")
    user, password = unquote(url.username or ""), unquote(url.password or "")
    return SmtpServer(url.hostname, port, url.scheme == "smtps", user, password)


def _has_more(url: SplitResult) -> bool:
    return bool(url.path.strip("/") or url.query or url.fragment)


def send_mail(
    server: SmtpServer, message: EmailMessage, sender: str, recipients: Sequence[str], *, timeout_s: float
) -> None:
    """Hand a mail to the server; each step may take `timeout_s`.

    Raises:
        OutboundFailed: it did not take it for all recipients.
    """
    try:
        with _connected(server, timeout_s) as smtp:
            refused = smtp.send_message(message, sender, list(recipients))
    except (smtplib.SMTPException, OSError) as error:
        raise OutboundFailed(_reason(error)) from error
    if refused:
        raise OutboundFailed(f"the mail server refused {len(refused)} of {len(recipients)} recipients")


def _connected(server: SmtpServer, timeout_s: float) -> smtplib.SMTP:
    """Raises SMTPException or OSError; a password is never sent in clear."""
    if server.uses_tls:
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=timeout_s, context=_tls())
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=timeout_s)
    try:
        smtp.ehlo()
        is_secure = server.uses_tls
        if not is_secure and smtp.has_extn("starttls"):
            smtp.starttls(context=_tls())
            smtp.ehlo()
            is_secure = True
        if server.user and not is_secure:
            raise smtplib.SMTPException("the mail server offers no STARTTLS, so the password was not sent")
        if server.user:
            smtp.login(server.user, server.password)
    except BaseException:
        with suppress(OSError):
            smtp.close()
        raise
    return smtp


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error
        said = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
        return f"the mail server answered {error.smtp_code}: {said}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "the mail server refused all recipients"
    return str(error) or type(error).__name__


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
