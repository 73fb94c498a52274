"""Entity tags and the headers that name them."""

from __future__ import annotations


def matches(header: str, etag: str) -> bool:
    """Whether `If-None-Match` names the tag (RFC 9110, 13.1.2): a list of tags or `*`, compared weakly."""
    wanted = etag.removeprefix("W/")
    candidates = (candidate.strip().removeprefix("W/") for candidate in header.split(","))
    return any(candidate in (wanted, "*") for candidate in candidates)
