"""The base of every view: operations that need no token."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import classonlymethod
from django.utils.functional import cached_property
from rest_framework import viewsets
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

from core.errors import MethodNotAllowedError, UnsupportedMediaTypeError
from core.faults import reach
from core.limits import take
from core.limits.requests import address_of
from core.parsers import EMPTY, StrictJSONParser
from core.problems import handle_exception
from core.serializers import Mode, in_mode
from core.tenancy import scoped

BODY_MODES: dict[str, Mode] = {"create": "create", "update": "update", "partial_update": "update"}


class OpenViewSet(viewsets.ViewSet):
    """Operations that need no token. There is no scope until one finds out whose business it is and enters it.

    A view has Django's own request. DRF's wraps it to find out whose it is and how to read it, which is settled here.
    """

    authentication_classes = []
    renderer_classes = [JSONRenderer]

    requests: ClassVar[Mapping[str, Any]] = {}  # action -> serializer of its body; None where it has none

    request: HttpRequest  # type: ignore[assignment] # DRF's where it makes one

    @classonlymethod
    def as_view(cls, actions: dict[str, Any], **initkwargs: Any) -> Callable[..., HttpResponseBase]:  # type: ignore[override]
        """DRF's own, which the schema is made from, without binding every method anew at each request."""
        described = super().as_view(actions, **initkwargs)
        if "get" in actions:
            actions.setdefault("head", actions["get"])

        def view(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            self = cls(**initkwargs)
            self.request, self.args, self.kwargs, self.action_map = request, (), kwargs, actions
            return self.dispatch(request, **kwargs)

        return functools.update_wrapper(view, described)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """DRF's own without negotiation, versions, throttles and a header for what else the address takes."""
        self.action = self.action_map.get(str(request.method).lower())  # type: ignore[assignment] # the parsers ask for it
        with scoped(None):
            try:
                self.initial(request, *args, **kwargs)
                response = self.respond(request, *args, **kwargs)
                reach("change-committed")
            except Exception as error:  # noqa: BLE001 - every error is a problem, see core.problems
                response = self.handle_exception(error)
        return response

    def respond(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """What the action says."""
        response: HttpResponseBase = getattr(self, self.action)(request, *args, **kwargs)
        return response

    def initial(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        take("open", address_of(request))
        self.refuse_other_methods()

    def refuse_other_methods(self) -> None:
        if self.action is None:
            allow = ", ".join(method.upper() for method in self.action_map)
            raise MethodNotAllowedError("this address does not take this method", headers={"Allow": allow})

    def body_class(self) -> Any:
        """The serializer of the action's body, if it has one."""
        if self.action in self.requests:
            return self.requests[self.action]
        mode, own = BODY_MODES.get(self.action), getattr(self, "serializer_class", None)
        return in_mode(own, mode) if own is not None and mode is not None else None

    def handle_exception(self, exc: Exception) -> Any:
        """Every error is a problem."""
        return handle_exception(exc, self.request, self.kwargs)

    @cached_property
    def data(self) -> Any:
        """The request's body, by the parser of its media type; `EMPTY` if there is none."""
        meta = self.request.META
        if meta.get("CONTENT_LENGTH") in (None, "", "0"):
            return EMPTY
        parser: Any = next((p for p in self.get_parsers() if p.media_type == self.request.content_type), None)
        if parser is None:
            raise UnsupportedMediaTypeError("the body's media type is not one the API reads")
        return parser.parse(self.request, parser_context={"request": self.request})

    def get_parsers(self) -> list[BaseParser]:
        return [StrictJSONParser()]
