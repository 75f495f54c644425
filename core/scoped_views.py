"""The base of every view that needs a token: permission, scope, news of changes, and keys that make a POST safe."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

import orjson
from django.db import transaction
from django.http import HttpResponse, HttpResponseBase
from rest_framework import viewsets
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from core import activity
from core.errors import (
    ForbiddenError,
    InternalError,
    MalformedBodyError,
    Parameter,
    ProblemError,
    TooManyRequestsError,
    UnavailableError,
)
from core.faults import reach
from core.idempotency import services as idempotency
from core.limits.requests import admit
from core.masking import masked, masked_patch, shape_of
from core.open_views import OpenViewSet
from core.parsers import EMPTY, PatchParser, StrictJSONParser
from core.permissions import Principal
from core.problems import as_problem
from core.tenancy import Scope, TenantModel, current_scope, enter, scope_for_change, scoped

VERBS = {
    "list": "list",
    "create": "create",
    "retrieve": "get",
    "update": "update",
    "partial_update": "patch",
    "destroy": "delete",
}


READING = ("GET", "HEAD")
# The limiter's refusals are too many; the others refuse nothing.
UNRECORDED = frozenset({TooManyRequestsError.slug, InternalError.slug, UnavailableError.slug})


def enter_for_change(model: type[TenantModel]) -> None:
    """What all accounts share is not for those to change who may touch some accounts only."""
    scope = scope_for_change(model, current_scope())
    if scope is None:
        raise ForbiddenError("the token is good for a part of the organization, and this belongs to all of it")
    enter(scope)


class ScopedViewSet(OpenViewSet):
    """Authenticates, checks the permission and opens the scope. No code below it can act outside one."""

    resource: ClassVar[str]  # the permission table's name of what is acted on
    verbs: ClassVar[dict[str, str]] = {}  # action -> verb, for actions of its own
    surface: ClassVar[str] = "management"
    authentication_classes = list(viewsets.ViewSet.authentication_classes)  # the setting's

    principal: Principal = None  # type: ignore[assignment] # nobody before `initial`
    sent: Any = None  # the body, once it was read
    once: idempotency.Once | None = None
    has_recorded_refusal = False
    note = ""  # more about what was done, for the news of it

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        principal = admit(request, self.surface)
        self.refuse_other_methods()
        self.principal = principal
        scope = self.scope_of(principal) if principal.surface == self.surface else None
        if scope is None:
            raise ForbiddenError(f"the token does not grant {self.verb!r} on {self.resource!r}")
        enter(scope)

    def respond(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """What the action says; once only, if the request carries a key that says so."""
        if request.method != "POST" or (key := request.headers.get(idempotency.HEADER)) is None:
            return super().respond(request, *args, **kwargs)
        address = f"POST {request.get_full_path()}"
        begun = idempotency.begin(
            key=key, token_id=self.principal.token_id, request=address, body=request._request.body
        )
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

    def settle(self, content: bytes, status: int = 200, etag: str = "") -> None:
        """Keeps the answer for whoever sends the request again."""
        if self.once is not None:
            self.once.settle(content, status, etag)

    def handle_exception(self, exc: Exception) -> Any:
        """A refused change is news as well."""
        problem = as_problem(exc)
        if self.principal is None and self.action is not None:  # refused before it was let in
            self.principal = problem.principal
        if self.principal is not None and not self.has_recorded_refusal and problem.slug not in UNRECORDED:
            try:
                self.record_refusal(problem)
            except Exception as failure:  # noqa: BLE001 - the answer tells that nothing works, see core.problems
                problem = as_problem(failure)
        return super().handle_exception(problem)

    def record_refusal(self, problem: ProblemError) -> None:
        """In a transaction of its own, since that of the change is undone."""
        if self.request.method not in READING:
            subject = None
            with transaction.atomic(), scoped(Scope(self.principal.organization_id)):
                with contextlib.suppress(ProblemError):
                    subject = self.addressed()
                self.record(problem, subject=subject)

    def addressed(self) -> Any:
        """What the address names, for the news of a refusal: the row, else something with its `account_id`."""
        return None

    def scope_of(self, principal: Principal) -> Scope | None:
        """Where a principal may do this; None where it may not."""
        return principal.scope_for(self.resource, self.verb)

    def get_parsers(self) -> list[BaseParser]:
        """A JSON Patch is a body of PATCH only."""
        return [StrictJSONParser(), PatchParser()] if self.action == "partial_update" else [StrictJSONParser()]

    @property
    def verb(self) -> str:
        return self.verbs.get(self.action) or VERBS[self.action]

    def record(
        self,
        refusal: ProblemError | None = None,
        *,
        object_id: str = "",
        subject: Any = None,
        document: Callable[[], dict[str, Any]] | None = None,
        answer: Any = None,
    ) -> None:
        """Tells the recorder of a change or a refused one; reads are not news.

        It belongs into the transaction of the change, after all else. `answer` is the content of a POST's answer.
        """
        if self.request.method in READING:
            return
        self.has_recorded_refusal = refusal is not None
        activity.record(
            activity.Activity(
                resource=self.resource,
                verb=self.verb,
                object_id=object_id or getattr(subject, "pk", ""),
                token_id=self.principal.token_id,
                organization_id=self.principal.organization_id,
                refusal=refusal,
                note=self.note,
                member_id=self.principal.member_id,
                call=activity.call_of(self.request._request, self.masked_body()),
                subject=subject,
                document=document,
            )
        )
        if answer is not None:
            self.settle(orjson.dumps(answer))
        reach("change-recorded")

    def masked_body(self) -> Any:
        """The body as far as it was read, without secrets."""
        if self.sent is None:
            return None
        body_class = self.body_class()
        shape = shape_of(body_class) if body_class else None
        return (masked_patch if self.action == "partial_update" else masked)(shape, self.sent)

    def body(self) -> Any:
        """The request's body, which must be there."""
        if not self.has_body() or self.request.data is EMPTY:
            raise MalformedBodyError("the request has no body", at=Parameter("body", ""))
        self.sent = self.request.data
        return self.sent

    def has_body(self) -> bool:
        return self.request.META.get("CONTENT_LENGTH") not in (None, "", "0")

    @staticmethod
    def json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
        return HttpResponse(
            orjson.dumps(content), content_type="application/json", status=status, headers=dict(headers or {})
        )
