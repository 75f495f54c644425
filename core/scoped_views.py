"""The base of every view that needs a token: permission, scope, and keys that make a POST safe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework import viewsets
from rest_framework.parsers import BaseParser

from core.errors import ForbiddenError
from core.idempotency import services as idempotency
from core.limits.requests import admit
from core.parsers import PatchParser, StrictJSONParser
from core.permissions import Principal
from core.telling_views import TellingViewSet
from core.tenancy import Scope, TenantModel, current_scope, enter, scope_for_change


def enter_for_change(model: type[TenantModel]) -> None:
    """What all accounts share is not for those to change who may touch some accounts only."""
    scope = scope_for_change(model, current_scope())
    if scope is None:
        raise ForbiddenError("the token is good for a part of the organization, and this belongs to all of it")
    enter(scope)


class ScopedViewSet(TellingViewSet):
    """Authenticates, checks the permission and opens the scope. No code below it can act outside one."""

    surface: ClassVar[str] = "management"
    authentication_classes = list(viewsets.ViewSet.authentication_classes)  # the setting's

    def initial(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        principal = admit(request, self.surface, self.authenticator().authenticate)
        self.refuse_other_methods()
        self.principal = principal
        scope = self.scope_of(principal) if principal.surface == self.surface else None
        if scope is None:
            raise ForbiddenError(f"the token does not grant {self.verb!r} on {self.resource!r}")
        enter(scope)

    def respond(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """What the action says; once only, if the request carries a key that says so."""
        if self.request.method != "POST" or (key := self.request.META.get(idempotency.IN_META)) is None:
            return super().respond(request, *args, **kwargs)
        address = f"POST {self.request.get_full_path()}"
        begun = idempotency.begin(key=key, token_id=self.principal.token_id, request=address, body=self.request.body)
        if isinstance(begun, HttpResponse):
            return begun
        self.once = begun
        try:
            response = cast(HttpResponse, super().respond(request, *args, **kwargs))
        except Exception:
            begun.release()
            raise
        self.settle(response.content, response.status_code, response.headers.get("ETag", ""))
        return response

    def authenticator(self) -> Any:
        """What finds out whose token a request carries."""
        return self.get_authenticators()[0]

    def scope_of(self, principal: Principal) -> Scope | None:
        """Where a principal may do this; None where it may not."""
        return principal.scope_for(self.resource, self.verb)

    def get_parsers(self) -> list[BaseParser]:
        """A JSON Patch is a body of PATCH only."""
        return [StrictJSONParser(), PatchParser()] if self.action == "partial_update" else [StrictJSONParser()]

    @staticmethod
    def json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
        return HttpResponse(
            orjson.dumps(content), content_type="application/json", status=status, headers=dict(headers or {})
        )
