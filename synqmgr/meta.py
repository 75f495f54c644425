"""The API's own schemas over HTTP."""

from __future__ import annotations

import functools
from typing import Any

import orjson
import yaml
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from core.listing import refuse_unknown
from core.routing import Routes
from core.views import ScopedViewSet
from synqmgr.docs.pages import schema_bytes

_DOCUMENT = {
    "application/json": {
        "type": "object",
        "description": "An OpenAPI 3.1 document.",
        "properties": {
            "openapi": {"type": "string", "examples": ["3.1.0"]},
            "info": {"type": "object", "examples": [{"title": "synqmgr Management API", "version": "0.1.0"}]},
            "paths": {"type": "object", "examples": [{}]},
        },
        "required": ["openapi", "info", "paths"],
    }
}


@functools.cache
def management_schema() -> bytes:
    """The checked-in schema as JSON, converted once."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return orjson.dumps(yaml.load(schema_bytes(), Loader=loader))  # noqa: S506 - a safe loader, in C where there is one


@functools.cache
def engine_schema() -> bytes:
    """The connector APIs: none is served yet."""
    document: dict[str, Any] = {
        "openapi": settings.SPECTACULAR_SETTINGS["OAS_VERSION"],
        "info": {
            "title": "synqmgr Engine API",
            "version": settings.SPECTACULAR_SETTINGS["VERSION"],
            "description": "The connector APIs of integrations. This version of the service has no operations yet.",
        },
        "paths": {},
    }
    return orjson.dumps(document)


class MetaViewSet(ScopedViewSet):
    """What the API says of itself."""

    resource = "meta"
    verbs = {"management_openapi_spec": "get", "engine_openapi_spec": "get"}
    responses = {"management_openapi_spec": _DOCUMENT, "engine_openapi_spec": _DOCUMENT}

    @action(detail=False, methods=["get"], url_path="openapi/management")
    def management_openapi_spec(self, request: HttpRequest) -> HttpResponse:
        """Shows the Management API's schema.

        The whole API as an OpenAPI 3.1 document in JSON. The same document is at `/openapi.yaml` for everybody.
        """
        refuse_unknown(request.GET, [])
        return HttpResponse(management_schema(), content_type="application/json")

    @action(detail=False, methods=["get"], url_path="openapi/engine")
    def engine_openapi_spec(self, request: HttpRequest) -> HttpResponse:
        """Shows the Engine API's schema.

        The connector APIs as an OpenAPI 3.1 document in JSON. This version of the service has no operations of
        connectors yet, so the document has no paths.
        """
        refuse_unknown(request.GET, [])
        return HttpResponse(engine_schema(), content_type="application/json")


routes: Routes = [("meta", MetaViewSet)]
