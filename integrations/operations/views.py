"""Operations and their history over HTTP."""

from __future__ import annotations

from typing import ClassVar

import django_filters
from django import forms
from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from catalog.registry import list_connectors
from core.columns import is_id
from core.filters import EQUALITY, EnumFilter, IdFilter, InstantFilter, TextFilter, WireFilter, split_values
from core.listing import Cursor
from core.views import ReadViewSet, ResourceViewSet
from integrations.operations.models import OperationStatus, OperationTriggerType
from integrations.operations.serializers import OperationExecutionEventSerializer, OperationSerializer

CATEGORIES = [connector.id for connector in list_connectors()]


class OperationFilterSet(django_filters.FilterSet):
    id = IdFilter()
    account_id = IdFilter()
    integration_id = IdFilter()
    output_integration_id = IdFilter()
    operation = TextFilter()
    category = EnumFilter(CATEGORIES)
    status = EnumFilter(OperationStatus)
    created_at = InstantFilter()
    updated_at = InstantFilter()


class NameOrIdFilter(WireFilter):
    """An operation by its id, or all of a name."""

    field_class = forms.CharField
    operators = EQUALITY

    def condition(self, op: str, text: str) -> Q:
        values = split_values(text) if op in ("in", "not in") else [text]
        if all(map(is_id, values)):
            return super().condition(op, text)
        if any(map(is_id, values)):
            raise forms.ValidationError("takes ids or names, not both at once")
        return TextFilter(field_name="operation").condition(op, text)


class ExecutionFilterSet(django_filters.FilterSet):
    id = IdFilter(field_name="operation_id")
    operation_id = NameOrIdFilter()
    execution_id = IdFilter(field_name="id")
    account_id = IdFilter()
    integration_id = IdFilter()
    operation = TextFilter()
    category = EnumFilter(CATEGORIES)
    status = EnumFilter(OperationStatus)
    trigger_type = EnumFilter(OperationTriggerType)
    started_at = InstantFilter()
    completed_at = InstantFilter()


class OperationViewSet(ResourceViewSet):
    """Operations: what integrations read by themselves, on the schedules that they carry."""

    resource = "operations"
    group = "operations"
    serializer_class = OperationSerializer
    filterset_class = OperationFilterSet
    cursor = Cursor(("id",))
    orders = {name: name for name in ("id", "created_at", "updated_at", "operation", "status")}
    actions: ClassVar[tuple[str, ...]] = ("list",)
    totals = False
    unique_names = False


class ExecutionViewSet(ReadViewSet):
    """What became of operations each time."""

    resource = "operations"
    group, noun = "operations", "execution"
    verbs = {"list": "list_history"}
    operations = {"list": "list_execution_history"}
    responses = {"list": "ListExecutionHistoryResponse"}
    serializer_class = OperationExecutionEventSerializer
    filterset_class = ExecutionFilterSet
    cursor = Cursor(("started_at",), ties=True, descending=True)
    orders = {"started_at": "started_at", "completed_at": "completed_at"}
    actions: ClassVar[tuple[str, ...]] = ("list",)
    totals = False

    def list(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Lists the executions of all operations that have ended, the latest first.

        They are kept for a while after their integration is gone. A field in `order` without a direction is sorted
        from the latest to the first.
        """
        return super().list(request, **kwargs)
