"""The audit log over HTTP."""

from __future__ import annotations

from django_filters import FilterSet

from core.filters import EnumFilter, IdFilter, InstantFilter, TextFilter
from core.listing import Cursor
from core.views import ReadViewSet
from events.audit.models import AuditType
from events.audit.serializers import AuditSerializer


class AuditFilterSet(FilterSet):
    id = IdFilter()
    created_at = InstantFilter()
    environment = TextFilter()
    remote_addr = TextFilter()
    user_agent = TextFilter()
    audit_type = EnumFilter(AuditType)
    method = TextFilter()
    path = TextFilter()
    code = TextFilter()
    response = TextFilter()
    status = TextFilter()
    action = TextFilter()
    member_id = IdFilter()
    account_id = IdFilter()
    integration_id = IdFilter()
    bridge_group_id = IdFilter()
    object_id = IdFilter()
    token_id = IdFilter()


class AuditEventViewSet(ReadViewSet):
    """The audit log: one event for each change of the organization and each refused one, oldest first.

    Changes and their events are durable together. Requests that the limiter refused, and those without a token that
    is known, belong to no organization's log.

    A page looks at 50,000 events at most for its filters, after those by `created_at`, `account_id` and `id`, which
    choose the events to look at. If there are more, `Link` leads on, even from a page that is not full: follow it
    until there is none.
    """

    resource = "audit"
    group = "audit"
    serializer_class = AuditSerializer
    filterset_class = AuditFilterSet
    actions = ("list",)
    orders = {"created_at": "created_at"}
    cursor = Cursor(("created_at",), ties=True, most=50_000, indexed=("created_at", "account_id", "id"))
    totals = False
