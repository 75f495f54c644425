"""The router: from an app's list of (prefix, viewset) to addresses. A test walks what it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.urls import URLPattern, URLResolver
from rest_framework.routers import Route, SimpleRouter
from rest_framework.viewsets import ViewSetMixin

Routes = Sequence[tuple[str, type[Any]]]

_SINGLETON = Route(
    url=r"{prefix}{trailing_slash}",
    mapping={"get": "retrieve", "put": "update", "patch": "partial_update"},
    name="{basename}",
    detail=True,
    initkwargs={},
)


class Router(SimpleRouter):
    """No trailing slashes, path converters, and only the actions a viewset names."""

    def __init__(self) -> None:
        super().__init__(trailing_slash=False, use_regex_path=False)

    def get_routes(self, viewset: type[ViewSetMixin]) -> list[Any]:
        return [_SINGLETON] if getattr(viewset, "singleton", False) else super().get_routes(viewset)

    def get_method_map(self, viewset: Any, method_map: Any) -> dict[str, str]:
        offered = getattr(viewset, "actions", ())
        standard = set(_STANDARD)
        return {
            method: action
            for method, action in super().get_method_map(viewset, method_map).items()
            if action not in standard or action in offered
        }


_STANDARD = ("list", "create", "retrieve", "update", "partial_update", "destroy")


def addresses(routes: Routes, *, under: str) -> list[URLPattern | URLResolver]:
    """URL patterns of routes, in their order: hot ones first. One level, which is found sooner than an include."""
    router = Router()
    for prefix, viewset in routes:
        router.register(under + prefix, viewset, basename=viewset.__name__.removesuffix("ViewSet").lower())
    return router.urls
