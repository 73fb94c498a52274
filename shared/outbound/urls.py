"""URLs that users give: read once by one parser, so that what is checked is what is connected to."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import HttpUrl

URL_MAX_CHARS = 2_048


@dataclass(frozen=True, slots=True)
class Url:
    """A URL in its normal form: an odd spelling of an IPv4 address has become the usual one."""

    text: str
    host: str
    port: int


def parse_url(text: str) -> Url:
    """Read an http or https URL.

    Raises:
        ValueError: it is none, is too long, or holds credentials. The message does not repeat it.
    """
    if len(text) > URL_MAX_CHARS:
        raise ValueError(f"must be at most {URL_MAX_CHARS} characters long")
    try:
        url = HttpUrl(text)
    except ValueError:
        raise ValueError("must be a URL that begins with http:// or https://") from None
    if url.username or url.password:
        raise ValueError("must not hold a user or password; put them into the headers")
    if not url.host or not url.port:
        raise ValueError("must name a host")
    return Url(str(url).partition("#")[0], url.host, url.port)
