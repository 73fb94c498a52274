"""/docs: Swagger UI, with every file of it served from here, so that it works without Internet."""

from __future__ import annotations

from functools import cache
from importlib import resources

from fastapi import APIRouter, Response
from fastapi.openapi.docs import get_swagger_ui_html

from shared.errors import NotFound

OPENAPI_URL = "/v1/openapi.json"

_PACKAGE = "fastapi_swagger.resources"
_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
_DAY_S = 86_400
# Every operation is listed at first, closed; a key that was entered stays.
_PARAMETERS = {"docExpansion": "list", "filter": True, "persistAuthorization": True, "validatorUrl": None}

router = APIRouter(prefix="/docs", include_in_schema=False)


@router.get("")
async def page() -> Response:
    script, style, icon = (f"/docs/{name}" for name in _FILES)
    return get_swagger_ui_html(
        openapi_url=OPENAPI_URL,
        title="Kennel API",
        swagger_js_url=script,
        swagger_css_url=style,
        swagger_favicon_url=icon,
        swagger_ui_parameters=_PARAMETERS,
    )


@router.get("/{name}")
async def file(name: str) -> Response:
    """Raises NotFound for what is no file of the page."""
    if name not in _FILES:
        raise NotFound(f"/docs has no file {name!r}", code="no_such_path")
    headers = {"Cache-Control": f"max-age={_DAY_S}"}
    return Response(_content(name), media_type=_FILES[name], headers=headers)


@cache
def _content(name: str) -> bytes:
    return (resources.files(_PACKAGE) / name).read_bytes()
