"""The base viewsets: the verbs every resource has."""

from __future__ import annotations

import contextlib
import dataclasses
import types
from collections.abc import Callable
from typing import Any, ClassVar

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django_filters import FilterSet

from core.errors import DuplicateNameError, ForbiddenError, ProblemError
from core.filters import ResourceFilterSet
from core.instants import format_instant
from core.listing import DEFAULT_LIMIT, Cursor, ListRequest, link_next, read_list_request, refuse_unknown
from core.models import Resource
from core.open_views import OpenViewSet
from core.patch import apply_patch
from core.preconditions import entity_tag, is_unchanged, refuse_unless_matching
from core.reading import Page, Reader, find, reader_of
from core.scoped_views import ScopedViewSet, enter_for_change
from core.serializers import ResourceSerializer, in_mode, over, read_only_names, validated
from core.telling_views import VERBS
from core.tenancy import current_scope

__all__ = ["VERBS", "OpenViewSet", "ReadViewSet", "ResourceViewSet", "ScopedViewSet", "enter_for_change"]


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
    usual_limit: ClassVar[int] = DEFAULT_LIMIT  # of a page, if none is asked for
    unique_names = True  # whether no two objects of one list share a name
    cursor: ClassVar[Cursor | None] = None  # what a page starts after, where objects have no names
    unconditional: ClassVar[tuple[str, ...]] = ()  # actions that show what changes while the object does not: no 304

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

    def list(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        query = request.GET
        descending = self.cursor is not None and self.cursor.descending
        asked = read_list_request(
            query, orders=self.orders, expands=list(self.expands), totals=self.totals, descending=descending
        )
        if "limit" not in query:
            asked = dataclasses.replace(asked, limit=self.usual_limit)
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

    def retrieve(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        refuse_unknown(request.GET, [])
        shown = self.shown_one()
        tag = entity_tag(shown["updated_at"])
        asks = "HTTP_IF_NONE_MATCH" in self.request.META and self.action not in self.unconditional
        if asks and is_unchanged(request.headers, tag):
            return HttpResponse(status=304, headers={"ETag": tag})
        return self.json({"result": shown}, headers={"ETag": tag})

    def shown_one(self) -> dict[str, Any]:
        """The object of the address."""
        return self.reader.one(self.identifier(), self.fixed())

    def identifier(self) -> str:
        return str(self.kwargs[self.lookup_url_kwarg])


class ResourceViewSet(ReadViewSet):
    """list, create, get, update, patch and delete of one resource."""

    actions: ClassVar[tuple[str, ...]] = tuple(VERBS)

    def create(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        refuse_unknown(request.GET, [])
        self.refuse_shared()
        try:
            return self.created()
        except DuplicateNameError:
            if self.body().get("name") is not None:
                raise
        return self.created()  # another request had just taken the name that its full name makes

    def created(self) -> HttpResponse:
        """Makes an object of the body, all or nothing."""
        serializer = validated(over(self.body(), in_mode(self.serializer_class, "create"), self.context()))
        with transaction.atomic():
            instance, content = self.perform_create(serializer)
            self.refuse_outside(instance)
            self.record(subject=instance, document=lambda: self.document(instance), answer=content)
        self.conclude(content)
        return self.json(content, headers={"ETag": self.tag(instance)})

    def update(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        refuse_unknown(request.GET, [])
        body = self.body()
        return self.change(lambda instance: body)

    def partial_update(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        refuse_unknown(request.GET, [])
        operations = self.body()
        return self.change(lambda instance: self.patched(self.document(instance), operations))

    def destroy(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        refuse_unknown(request.GET, [])
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

    def addressed(self) -> Any:
        """The object of the address, else what objects at this address belong to. It takes no lock."""
        above = self.above()
        if self.singleton or self.lookup_url_kwarg in self.kwargs:
            with contextlib.suppress(ProblemError):
                return find(self.reader.model, self.identifier(), self.fixed())
        return above

    def above(self) -> Any:
        """Something with the `account_id` of the objects at this address, if they have one."""
        return types.SimpleNamespace(**self.fixed())

    def change(self, body_of: Callable[[Any], Any]) -> HttpResponse:
        """Replaces the object of the address by a body, all or nothing."""
        with transaction.atomic():
            instance, content = self.perform_update(self.valid_change(self.locked(), body_of))
            self.refuse_outside(instance)
            self.record(subject=instance, document=lambda: self.document(instance))
        self.conclude(content)
        return self.json(content, headers={"ETag": self.tag(instance)})

    def valid_change(self, before: Any, body_of: Callable[[Any], Any]) -> Any:
        """The body of a change, found valid for what the object is."""
        serializer_class = in_mode(self.serializer_class, "update")
        return validated(over(body_of(before), serializer_class, self.context(), before))

    def refuse_shared(self) -> None:
        enter_for_change(self.reader.model)

    def refuse_outside(self, instance: Any) -> None:
        """Undoes a change that would put the object where its author cannot reach."""
        if current_scope().groups and not self.reader.model.objects.filter(pk=instance.pk).exists():
            raise ForbiddenError("the object would lie outside the part of the organization that the token is good for")

    @staticmethod
    def tag(instance: Any) -> str:
        return entity_tag(format_instant(instance.updated_at))
