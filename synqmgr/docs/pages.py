"""The schema and the two pages that show it. Nothing on them comes from another host."""

from __future__ import annotations

import functools
import hashlib

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.utils.html import format_html

_BASE = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_SIDECAR = "drf_spectacular_sidecar"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{}</title>
<link rel="icon" href="{}">
{}</head>
<body>
{}
</body>
</html>
"""


def page(title: str, *, styles: tuple[str, ...], body: str, policy: dict[str, str] | None = None) -> HttpResponse:
    """An HTML page with a content security policy of its own."""
    links = [format_html('<link rel="stylesheet" href="{}">\n', static(name)) for name in styles]
    icon = static(f"{_SIDECAR}/swagger-ui-dist/favicon-32x32.png")
    html = format_html(_PAGE, title, icon, format_html("{}" * len(links), *links), body)
    rules = _BASE | (policy or {})
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in rules.items()),
        "Cache-Control": "no-cache",
    }
    return HttpResponse(html, headers=headers)


@functools.cache
def schema_bytes() -> bytes:
    """The checked-in schema, read once."""
    return (settings.BASE_DIR / "openapi.yaml").read_bytes()


@functools.cache
def _schema_tag() -> str:
    return f'"{hashlib.sha256(schema_bytes()).hexdigest()[:32]}"'


def schema(request: HttpRequest) -> HttpResponse:
    """`/openapi.yaml`"""
    headers = {"ETag": _schema_tag(), "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == _schema_tag():
        return HttpResponse(status=304, headers=headers)
    return HttpResponse(schema_bytes(), content_type="application/yaml", headers=headers)


def swagger(request: HttpRequest) -> HttpResponse:
    """`/docs`: the API to read and to try."""
    body = format_html(
        '<div id="docs"></div>\n<script src="{}"></script>\n<script src="{}"></script>',
        static(f"{_SIDECAR}/swagger-ui-dist/swagger-ui-bundle.js"),
        static("docs/swagger.js"),
    )
    styles = (f"{_SIDECAR}/swagger-ui-dist/swagger-ui.css", "docs/swagger.css")
    return page("synqmgr API", styles=styles, body=body)


def redoc(request: HttpRequest) -> HttpResponse:
    """`/redoc`: the API to read. Redoc writes its styles into the page and searches in a worker."""
    body = format_html(
        '<div id="docs"></div>\n<script src="{}"></script>\n<script src="{}"></script>',
        static(f"{_SIDECAR}/redoc/bundles/redoc.standalone.js"),
        static("docs/redoc.js"),
    )
    policy = {"style-src": "'self' 'unsafe-inline'", "worker-src": "blob:"}
    return page("synqmgr API reference", styles=("docs/redoc.css",), body=body, policy=policy)
