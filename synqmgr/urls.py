"""The URL mount: every app's addresses under /v1, the probes, the metrics and the docs."""

from importlib import import_module
from importlib.util import find_spec

from django.conf import settings
from django.urls import URLPattern, URLResolver, path

from core.metrics import metrics
from core.probes import livez, readyz
from core.routing import addresses
from integrations.urls import agent_routes
from synqmgr import meta
from synqmgr.docs import pages, problems

_apps = [app for app in reversed(settings.APPS) if find_spec(f"{app}.urls")]
# The busiest first: an address is found by trying those before it. And tokens/mcp before the token of that name.
_apps.sort(key=lambda app: {"accounts": 0, "catalog": 1}.get(app, 2))
_routes = [*(route for app in _apps for route in import_module(f"{app}.urls").routes), *meta.routes]

urlpatterns: list[URLPattern | URLResolver] = [
    *addresses(_routes, under="v1/"),
    *addresses(agent_routes, under=""),
    path("openapi.yaml", pages.schema),
    path("docs", pages.swagger),
    path("redoc", pages.redoc),
    path("problems", problems.index),
    path("problems/<slug:slug>", problems.detail),
    path("livez", livez),
    path("readyz", readyz),
    path("metrics", metrics),
]
handler400 = "core.middleware.bad_request"
handler404 = "core.middleware.not_found"
handler500 = "core.middleware.server_error"
