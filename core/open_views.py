"""The base of every view: operations that need no token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponseBase
from rest_framework import viewsets
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from core.errors import MethodNotAllowedError
from core.faults import reach
from core.limits import take
from core.limits.requests import address_of
from core.parsers import StrictJSONParser
from core.serializers import Mode, in_mode
from core.tenancy import scoped

BODY_MODES: dict[str, Mode] = {"create": "create", "update": "update", "partial_update": "update"}


class AlwaysJson(BaseContentNegotiation):
    """The API speaks JSON, whatever `Accept` says."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return next(
            (p for p in parsers if request.content_type.partition(";")[0].strip().lower() == p.media_type), None
        )

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], "application/json"


class OpenViewSet(viewsets.ViewSet):
    """Operations that need no token. There is no scope until one finds out whose business it is and enters it."""

    authentication_classes = []
    renderer_classes = [JSONRenderer]
    content_negotiation_class = AlwaysJson
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]

    requests: ClassVar[Mapping[str, Any]] = {}  # action -> serializer of its body; None where it has none

    request: Request
    http: HttpRequest  # Django's own: DRF's finds what it lacks by failing first

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """DRF's own without negotiation, versions, throttles and a header for what else the address takes."""
        self.args, self.kwargs, self.headers, self.http = args, kwargs, {}, request
        self.action = self.action_map.get(request.method.lower())  # type: ignore[assignment] # the parsers ask for it
        with scoped(None):
            self.request = self.initialize_request(request, *args, **kwargs)
            try:
                self.initial(self.request, *args, **kwargs)
                response = self.respond(self.request, *args, **kwargs)
                reach("change-committed")
            except Exception as error:  # noqa: BLE001 - every error is a problem, see core.problems
                response = self.handle_exception(error)
        return response

    def respond(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """What the action says."""
        response: HttpResponseBase = getattr(self, self.action)(request, *args, **kwargs)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        take("open", address_of(request))
        self.refuse_other_methods()

    def refuse_other_methods(self) -> None:
        if self.action is None:
            allow = ", ".join(self.allowed_methods)
            raise MethodNotAllowedError("this address does not take this method", headers={"Allow": allow})

    def body_class(self) -> Any:
        """The serializer of the action's body, if it has one."""
        if self.action in self.requests:
            return self.requests[self.action]
        mode, own = BODY_MODES.get(self.action), getattr(self, "serializer_class", None)
        return in_mode(own, mode) if own is not None and mode is not None else None

    def get_parsers(self) -> list[BaseParser]:
        return [StrictJSONParser()]
