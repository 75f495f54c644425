"""What the router makes, read back: every operation, and every resource by the addresses it has."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from core.views import VERBS, ResourceViewSet, ScopedViewSet

_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclasses.dataclass(frozen=True)
class Operation:
    """One method of one address."""

    method: str
    route: str  # as Django writes it: v1/accounts/<str:account_id>
    viewset: type[ScopedViewSet]
    action: str

    @property
    def resource(self) -> str:
        return self.viewset.resource

    @property
    def verb(self) -> str:
        view = self.viewset()
        view.action = self.action
        return view.verb

    @property
    def shown_route(self) -> str:
        """The route as the API docs write it: /v1/accounts/{account_id}."""
        return "/" + _PARAMETER.sub(r"{\1}", self.route)

    @property
    def parameters(self) -> list[str]:
        return _PARAMETER.findall(self.route)

    def url(self, values: Mapping[str, str]) -> str:
        return "/" + _PARAMETER.sub(lambda found: values[found[1]], self.route)

    def __str__(self) -> str:
        return f"{self.method} {self.shown_route}"


@dataclasses.dataclass(frozen=True)
class Face:
    """One viewset and its operations by verb."""

    viewset: type[ResourceViewSet]
    operations: tuple[Operation, ...]

    @property
    def name(self) -> str:
        return self.viewset.__name__

    def find(self, verb: str) -> Operation | None:
        """The operation that does what a verb means, under whatever name it is granted."""
        standard = (o for o in self.operations if VERBS.get(o.action) == verb)
        return next(standard, next((o for o in self.operations if o.verb == verb), None))

    def has(self, *verbs: str) -> bool:
        return all(self.find(verb) for verb in verbs)

    def operation(self, verb: str) -> Operation:
        found = self.find(verb)
        assert found is not None, f"{self} has no operation {verb!r}"
        return found

    def __str__(self) -> str:
        return self.name


def _walk(patterns: Sequence[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        else:
            yield route, pattern.callback


@functools.cache
def operations() -> tuple[Operation, ...]:
    """Every operation of every viewset that asks for a token."""
    return tuple(
        Operation(method.upper(), route, view.cls, action)
        for route, view in _walk(get_resolver().url_patterns)
        if is_guarded(view)
        for method, action in view.actions.items()
        if method != "head"
    )


@functools.cache
def other_routes() -> tuple[str, ...]:
    """Addresses that ask for no token, such as the metrics."""
    return tuple(route for route, view in _walk(get_resolver().url_patterns) if not is_guarded(view))


def is_guarded(view: Any) -> bool:
    return hasattr(view, "actions") and issubclass(view.cls, ScopedViewSet)


@functools.cache
def faces() -> tuple[Face, ...]:
    """Every resource that has an address."""
    viewsets = dict.fromkeys(o.viewset for o in operations())
    return tuple(
        Face(viewset, tuple(o for o in operations() if o.viewset is viewset))
        for viewset in viewsets
        if issubclass(viewset, ResourceViewSet)
    )


def having(*verbs: str) -> list[Face]:
    """The resources with all of these verbs."""
    return [face for face in faces() if face.has(*verbs)]
