"""/docs works without Internet: whatever the page needs is served by the API itself."""

from __future__ import annotations

import re

import httpx

from tests.integration.api.answers import refused


def test_the_page_loads_nothing_from_elsewhere(api: httpx.Client) -> None:
    page = httpx.get(f"{api.base_url}/docs")
    assert page.status_code == 200
    assert re.findall(r"https?://[^\s\"']+", page.text) == []
    assert "/v1/openapi.json" in page.text
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    kinds = [httpx.get(f"{api.base_url}{name}").raise_for_status().headers["Content-Type"] for name in files]
    assert sorted(kind.partition(";")[0] for kind in kinds) == ["image/png", "text/css", "text/javascript"]


def test_other_files_are_not_found(api: httpx.Client) -> None:
    for name in ("main.py", "..%2Fmain.py", "swagger-ui.css.map"):
        refused(httpx.get(f"{api.base_url}/docs/{name}"), 404)
