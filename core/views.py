"""The base viewsets: authentication, permission, scope, and the verbs every resource has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

import orjson
from django.db import transaction
from django.http import HttpResponse, HttpResponseBase
from django_filters import FilterSet
from rest_framework import viewsets
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from core import activity
from core.columns import format_instant
from core.errors import (
    ForbiddenError,
    MalformedBodyError,
    Parameter,
    ProblemError,
)
from core.filters import ResourceFilterSet
from core.idempotency import services as idempotency
from core.limits.requests import admit
from core.listing import Cursor, ListRequest, link_next, read_list_request, refuse_unknown
from core.masking import masked, masked_patch, shape_of
from core.models import Resource
from core.open_views import OpenViewSet
from core.parsing import EMPTY, PatchParser, StrictJSONParser
from core.patch import apply_patch
from core.permissions import Principal
from core.preconditions import entity_tag, is_unchanged, refuse_unless_matching
from core.problems import as_problem
from core.reading import Page, Reader, find, reader_of
from core.serializers import Mode, ResourceSerializer, in_mode, read_only_names, validated
from core.tenancy import Scope, TenantModel, current_scope, enter, scope_for_change, scoped

VERBS = {
    "list": "list",
    "create": "create",
    "retrieve": "get",
    "update": "update",
    "partial_update": "patch",
    "destroy": "delete",
}


BODY_MODES: dict[str, Mode] = {"create": "create", "update": "update", "partial_update": "update"}
UNRECORDED = frozenset({429, 500, 503})  # the limiter's refusals are too many, and a failure refuses nothing


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

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        principal = admit(request, self.surface)
        self.refuse_other_methods()
        self.principal = principal
        scope = self.scope_of(principal) if principal.surface == self.surface else None
        if scope is None:
            raise ForbiddenError(f"the token does not grant {self.verb!r} on {self.resource!r}")
        enter(scope)

    def answer(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """What the action says; once only, if the request carries a key that says so."""
        if request.method != "POST" or (key := request.headers.get(idempotency.HEADER)) is None:
            return super().answer(request, *args, **kwargs)
        address = f"POST {request.get_full_path()}"
        begun = idempotency.begin(
            key=key, token_id=self.principal.token_id, request=address, body=request._request.body
        )
        if isinstance(begun, HttpResponse):
            return begun
        self.once = begun
        try:
            response = cast(HttpResponse, super().answer(request, *args, **kwargs))
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
        if self.principal is not None and not self.has_recorded_refusal and problem.status not in UNRECORDED:
            try:
                with transaction.atomic(), scoped(Scope(self.principal.organization_id)):
                    self.record(problem)
            except Exception as failure:  # noqa: BLE001 - the answer tells that nothing works, see core.problems
                problem = as_problem(failure)
        return super().handle_exception(problem)

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
        outcome: ProblemError | None = None,
        *,
        object_id: str = "",
        subject: Any = None,
        document: Callable[[], dict[str, Any]] | None = None,
        answer: Any = None,
    ) -> None:
        """Tells the recorder of a change or a refused one; reads are not news.

        It belongs into the transaction of the change, after all else. `answer` is the content of a POST's answer.
        """
        if self.request.method in ("GET", "HEAD"):
            return
        self.has_recorded_refusal = outcome is not None
        activity.record(
            activity.Activity(
                resource=self.resource,
                verb=self.verb,
                object_id=object_id or (subject.pk if subject is not None else ""),
                token_id=self.principal.token_id,
                organization_id=self.principal.organization_id,
                outcome=activity.DONE if outcome is None else outcome.slug,
                status=200 if outcome is None else outcome.status,
                message="" if outcome is None else outcome.message,
                member_id=self.principal.member_id,
                call=activity.call_of(self.request._request, self.masked_body()),
                subject=subject,
                document=document,
            )
        )
        if answer is not None:
            self.settle(orjson.dumps(answer))

    def masked_body(self) -> Any:
        """The body as far as it was read, without secrets."""
        if self.sent is None:
            return None
        declared = getattr(self, "requests", {}).get(self.action)
        if declared is None and self.action in BODY_MODES:
            declared = in_mode(self.serializer_class, BODY_MODES[self.action])  # type: ignore[attr-defined]
        if self.action == "partial_update":
            return masked_patch(shape_of(declared), self.sent)
        return masked(shape_of(declared) if declared else None, self.sent)

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


class ReadViewSet(ScopedViewSet):
    """list and get of one resource, through its read plan."""

    serializer_class: ClassVar[type[ResourceSerializer]]
    filterset_class: ClassVar[type[FilterSet]] = ResourceFilterSet
    orders: ClassVar[dict[str, str]] = {"name": "name", "fullname": "fullname", "created_at": "created_at",
                                        "updated_at": "updated_at", "id": "id"}  # fmt: skip
    expands: ClassVar[dict[str, tuple[str, ...]]] = {}  # value of `expand` -> members it fills
    expansions: ClassVar[dict[str, type[ResourceSerializer]]] = {}  # member -> its serializer; its id is `<member>_id`
    actions: ClassVar[tuple[str, ...]] = ("list", "retrieve")  # what the router offers
    singleton = False  # one object at the address itself, without an id
    lookup_url_kwarg: ClassVar[str] = "id"
    lookup_value_converter = "str"
    totals = True
    unique_names = True  # whether no two objects of one list share a name
    cursor: ClassVar[Cursor | None] = None  # what a page starts after, where objects have no names

    @property
    def reader(self) -> Reader:
        return reader_of(self.serializer_class)

    def fixed(self) -> dict[str, Any]:
        """The equalities that the address adds, such as the account that owns a list."""
        return {}

    def expand(self, shown: list[dict[str, Any]], asked: tuple[str, ...]) -> None:
        """Fills the members that `expand` asks for: one query each, whatever the page's size."""
        for member in dict.fromkeys(member for value in asked for member in self.expands[value]):
            related = reader_of(self.expansions[member]).by_id(
                [s[f"{member}_id"] for s in shown if f"{member}_id" in s]
            )
            for each in shown:
                if (found := related.get(each.get(f"{member}_id", ""))) is not None:
                    each[member] = found

    def list(self, request: Request, **kwargs: str) -> HttpResponse:
        query = request.query_params
        descending = self.cursor is not None and self.cursor.descending
        asked = read_list_request(
            query, orders=self.orders, expands=list(self.expands), totals=self.totals, descending=descending
        )
        fixed = self.fixed()
        shown, following = self.page(asked, fixed)
        headers = {"Link": link_next(self.request.path, query, following)} if following else {}
        self.expand(shown, asked.expand)
        content: dict[str, Any] = {"result": shown}
        if asked.total:
            content["total"] = self.reader.count(asked, fixed, self.filterset_class)
        return self.json(content, headers=headers)

    def page(self, asked: ListRequest, fixed: dict[str, Any]) -> Page:
        """One page, and what the next starts after if it is full."""
        if self.cursor is not None:
            return self.reader.page_by(self.cursor, asked, fixed, self.filterset_class)
        shown = self.reader.page(asked, fixed, self.filterset_class, unique=self.unique_names)
        return shown, shown[-1]["name" if self.unique_names else "id"] if len(shown) == asked.limit else ""

    def retrieve(self, request: Request, **kwargs: str) -> HttpResponse:
        refuse_unknown(request.query_params, [])
        shown = self.reader.one(self.identifier(), self.fixed())
        tag = entity_tag(shown["updated_at"])
        if "HTTP_IF_NONE_MATCH" in request.META and is_unchanged(request.headers, tag):
            return HttpResponse(status=304, headers={"ETag": tag})
        return self.json({"result": shown}, headers={"ETag": tag})

    def identifier(self) -> str:
        return str(self.kwargs[self.lookup_url_kwarg])


class ResourceViewSet(ReadViewSet):
    """list, create, get, update, patch and delete of one resource."""

    actions: ClassVar[tuple[str, ...]] = tuple(VERBS)

    def create(self, request: Request, **kwargs: str) -> HttpResponse:
        refuse_unknown(request.query_params, [])
        self.refuse_shared()
        serializer = validated(in_mode(self.serializer_class, "create")(data=self.body(), context=self.context()))
        with transaction.atomic():
            instance, content = self.perform_create(serializer)
            self.refuse_outside(instance)
            self.record(subject=instance, document=lambda: self.document(instance), answer=content)
        self.conclude(content)
        return self.json(content, headers={"ETag": self.tag(instance)})

    def update(self, request: Request, **kwargs: str) -> HttpResponse:
        refuse_unknown(request.query_params, [])
        body = self.body()
        return self.change(lambda instance: body)

    def partial_update(self, request: Request, **kwargs: str) -> HttpResponse:
        refuse_unknown(request.query_params, [])
        operations = self.body()
        return self.change(lambda instance: self.patched(self.document(instance), operations))

    def destroy(self, request: Request, **kwargs: str) -> HttpResponse:
        refuse_unknown(request.query_params, [])
        with transaction.atomic():
            instance = self.locked()
            object_id, shown = instance.pk, self.document(instance)
            self.perform_destroy(instance)
            self.record(object_id=object_id, subject=instance, document=lambda: shown)
        return HttpResponse(status=204)

    # --- what a resource may say differently -------------------------------------------------------

    def perform_create(self, serializer: Any) -> tuple[Resource, dict[str, Any]]:
        """Saves a new object; gives it and the answer's content."""
        instance = serializer.save(**self.fixed())
        return instance, {"result": self.reader.plan.encode_instance(instance)}

    def perform_update(self, serializer: Any) -> tuple[Resource, dict[str, Any]]:
        """Saves a change; gives the object and the answer's content."""
        instance = serializer.save()
        return instance, {"result": self.reader.plan.encode_instance(instance)}

    def conclude(self, content: dict[str, Any]) -> None:
        """Adds to the answer what can only be done once the change is durable, such as asking a provider."""

    def perform_destroy(self, instance: Any) -> None:
        instance.delete()

    def patched(self, document: dict[str, Any], operations: Any) -> dict[str, Any]:
        """A patch applied to what GET shows."""
        return apply_patch(document, operations, read_only=read_only_names(self.serializer_class))

    def document(self, instance: Any) -> dict[str, Any]:
        """What a patch is applied to."""
        return self.reader.plan.document(instance)

    # --- shared steps ------------------------------------------------------------------------------

    def context(self) -> dict[str, Any]:
        return {"view": self}

    def locked(self) -> Any:
        """The object of the address, locked for a change that its `If-Match` allows."""
        self.refuse_shared()
        instance = find(self.reader.model, self.identifier(), self.fixed(), lock=True)
        refuse_unless_matching(self.request.headers, self.tag(instance))
        return instance

    def change(self, body_of: Callable[[Any], Any]) -> HttpResponse:
        """Replaces the object of the address by a body, all or nothing."""
        with transaction.atomic():
            before = self.locked()
            serializer = in_mode(self.serializer_class, "update")(before, data=body_of(before), context=self.context())
            instance, content = self.perform_update(validated(serializer))
            self.refuse_outside(instance)
            self.record(subject=instance, document=lambda: self.document(instance))
        self.conclude(content)
        return self.json(content, headers={"ETag": self.tag(instance)})

    def refuse_shared(self) -> None:
        enter_for_change(self.reader.model)

    def refuse_outside(self, instance: Any) -> None:
        """Undoes a change that would put the object where its author cannot reach."""
        if current_scope().groups and not self.reader.model.objects.filter(pk=instance.pk).exists():
            raise ForbiddenError("the object would lie outside the part of the organization that the token is good for")

    @staticmethod
    def tag(instance: Any) -> str:
        return entity_tag(format_instant(instance.updated_at))
