"""The status of integrations over HTTP."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from accounts.models import Account, Environment
from accounts.serializers import AccountSerializer
from catalog.registry import list_connectors
from core.errors import ForbiddenError
from core.filters import EnumFilter, IdFilter, InstantFilter, IntegerFilter, NameFilter, TextFilter
from core.listing import Cursor, ListRequest, read_choice, refuse_unknown
from core.reading import Page, find
from core.tenancy import current_scope, scoped
from core.views import ReadViewSet, enter_for_change
from integrations.models import Integration
from integrations.serializers import IntegrationSerializer
from integrations.status.models import Health, Status
from integrations.status.serializers import (
    GetStatusTimeseriesResultSerializer,
    StatusEventSerializer,
    StatusSerializer,
)
from integrations.status.services import hours_of_day, reset_status

INTERVALS = ("hour",)


class StatusFilterSet(django_filters.FilterSet):
    account_id = IdFilter()
    account__name = NameFilter(field_name="account__name")
    account__fullname = TextFilter(field_name="account__fullname")
    account__environment = EnumFilter(Environment, field_name="account__environment")
    integration_id = IdFilter()
    integration__name = NameFilter(field_name="integration__name")
    integration__fullname = TextFilter(field_name="integration__fullname")
    integration__category = EnumFilter([c.id for c in list_connectors()], field_name="integration__category")
    integration__provider_type = TextFilter(field_name="integration__provider_type")
    status = EnumFilter(Health)
    requests = IntegerFilter()
    failed = IntegerFilter()
    created_at = InstantFilter()
    updated_at = InstantFilter()


class StatusEventFilterSet(django_filters.FilterSet):
    created_at = InstantFilter()
    status = EnumFilter([Health.OK, Health.FAILING])
    error = TextFilter()


class StatusViewSet(ReadViewSet):
    """How integrations fare: counters, what failed, and how much by the hour."""

    untagged = ("timeseries",)
    resource = "status"
    serializer_class = StatusSerializer
    filterset_class = StatusFilterSet
    cursor = Cursor(("account_id", "integration_id"))
    orders = {
        "account_id": "account_id",
        "integration_id": "integration_id",
        "created_at": "created_at",
        "updated_at": "updated_at",
        "status": "status",
        "requests": "requests",
        "failed": "failed",
        "account.name": "account__name",
        "integration.name": "integration__name",
    }
    expands = {
        "account": ("account",),
        "accounts": ("account",),
        "integration": ("integration",),
        "integrations": ("integration",),
        "all": ("account", "integration"),
    }
    expansions = {"account": AccountSerializer, "integration": IntegrationSerializer}
    actions: ClassVar[tuple[str, ...]] = ("list",)
    verbs = {"timeseries": "timeseries"}
    operations = {"timeseries": "get_timeseries"}
    results = {"timeseries": GetStatusTimeseriesResultSerializer}
    responses = {"list": "ListStatusResponse", "timeseries": "GetStatusTimeseries"}
    totals = False

    def page(self, asked: ListRequest, fixed: dict[str, Any]) -> Page:
        """Whoever filters or sorts by a related object learns of it, so the token must be good for reading it."""
        used = {text.partition("[")[0].partition(".") for text in asked.filters}
        used |= {path.partition("__") for path, _ in asked.order}
        for member in sorted({name for name, dot, _ in used if dot and name in ("account", "integration")}):
            scope = self.principal.scope_for(f"{member}s", "get")
            if scope is None or not set(scope.groups) <= set(current_scope().groups):
                raise ForbiddenError(f"the token does not grant 'get' on the '{member}s' that the list is asked by")
        return super().page(asked, fixed)

    def expand(self, shown: list[dict[str, Any]], asked: tuple[str, ...]) -> None:
        """What is shown in full must be for the token to read there too."""
        for value in dict.fromkeys(asked):
            for member in self.expands[value]:
                scope = self.principal.scope_for(f"{member}s", "get")
                if scope is None:
                    raise ForbiddenError(f"the token does not grant 'get' on '{member}s', which `expand` needs")
                with scoped(scope):
                    super().expand(shown, (member,))

    @action(detail=False, methods=["get"])
    def timeseries(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Shows what all integrations did by the hour: the last 24 hours, the current one included."""
        refuse_unknown(request.GET, [])
        return self.json({"result": GetStatusTimeseriesResultSerializer(hours_of_day()).data})


class OneStatusViewSet(ReadViewSet):
    """The status of one integration."""

    untagged = ("timeseries",)
    resource = "status"
    noun = "status"
    serializer_class = StatusSerializer
    actions = ("retrieve", "update")
    lookup_url_kwarg = "integration_id"
    verbs = {"update": "reset", "timeseries": "integration_timeseries"}
    operations = {"update": "reset", "timeseries": "get_integration_timeseries"}
    requests = {"update": None}
    results = {"timeseries": GetStatusTimeseriesResultSerializer}
    responses = {"update": None, "timeseries": "GetIntegrationTimeseries", "retrieve": "GetStatusResponse"}
    queries = {
        "timeseries": {
            "interval": {
                "type": "string",
                "enum": list(INTERVALS),
                "default": "hour",
                "description": "How long an interval is.",
            }
        }
    }

    def fixed(self) -> dict[str, Any]:
        return {"integration_id": integration_at(self.kwargs).id}

    def shown_one(self) -> dict[str, Any]:
        return self.reader.only(self.fixed())

    def update(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Puts the counters of an integration back to nothing, and its status to `unknown`.

        Its events, its hours and the bill stay as they are.
        """
        refuse_unknown(request.GET, [])
        enter_for_change(Status)
        with transaction.atomic():
            status = Status.objects.select_for_update(of=("self",)).get(**self.fixed())
            reset_status(status=status)
            self.record(object_id=status.pk)
        return HttpResponse(status=204)

    @action(detail=True, methods=["get"])
    def timeseries(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Shows what an integration did by the hour: the last 24 hours, the current one included."""
        refuse_unknown(request.GET, ["interval"])
        read_choice(request.GET, "interval", INTERVALS)
        series = hours_of_day(self.fixed()["integration_id"])
        return self.json({"result": GetStatusTimeseriesResultSerializer(series).data})


class StatusEventViewSet(ReadViewSet):
    """What happened to an integration: calls that failed, and returns to health."""

    resource = "status"
    noun = "status event"
    serializer_class = StatusEventSerializer
    filterset_class = StatusEventFilterSet
    cursor = Cursor(("created_at",), ties=True)
    orders = {"created_at": "created_at"}
    actions = ("list",)
    verbs = {"list": "list_events"}
    operations = {"list": "list_events"}
    responses = {"list": "ListStatusEventsResponse"}
    totals = False

    def fixed(self) -> dict[str, Any]:
        return {"integration_id": integration_at(self.kwargs).id}


def integration_at(address: dict[str, Any]) -> Integration:
    """The integration that an address names by its account and itself."""
    account = find(Account, address["account_id"])
    found: Integration = find(Integration, address["integration_id"], {"account_id": account.id})
    return found
