"""Deliveries over HTTP."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from core.columns import is_id
from core.filters import EnumFilter, IdFilter, InstantFilter
from core.listing import Cursor, refuse_unknown
from core.plan import plan_of
from core.reading import find, missing, reader_of
from core.scoped_views import enter_for_change
from core.views import ReadViewSet
from events.deliveries.models import Delivery, DeliveryAttempt, DeliveryState
from events.deliveries.serializers import (
    DeliveryAttemptSerializer,
    DeliveryDetailsSerializer,
    DeliverySerializer,
)
from events.deliveries.services import DeliveryUnderWayError, resend
from events.webhooks.models import OrganizationWebhook, WebhookFilter
from events.webhooks.services import WebhookDisabledError, refuse_disabled

MOST_ATTEMPTS = 100  # shown


class DeliveryFilterSet(django_filters.FilterSet):
    id = IdFilter()
    event = EnumFilter(WebhookFilter)
    state = EnumFilter(DeliveryState)
    account_id = IdFilter()
    integration_id = IdFilter()
    created_at = InstantFilter()
    updated_at = InstantFilter()


class DeliveryViewSet(ReadViewSet):
    """Deliveries of an organization webhook: what was sent, what the receiver answered, what is tried again."""

    untagged = ("retrieve",)  # it changes by itself, and nobody else changes it
    resource = "webhooks"
    verbs = {"resend": "update"}
    group, noun = "organization_webhooks", "delivery"
    operations = {"list": "list_deliveries", "retrieve": "get_delivery", "resend": "resend_delivery"}
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilterSet  # deliveries have no names
    orders = {"id": "id", "created_at": "created_at"}
    cursor = Cursor(("id",))
    unique_names = False
    lookup_url_kwarg = "delivery_id"
    results = {"retrieve": DeliveryDetailsSerializer, "resend": DeliverySerializer}
    raises = {"resend": (DeliveryUnderWayError, WebhookDisabledError)}

    @property
    def webhook(self) -> OrganizationWebhook:
        if not hasattr(self, "_webhook"):
            self._webhook: OrganizationWebhook = find(OrganizationWebhook, self.kwargs["webhook_id"])
        return self._webhook

    def fixed(self) -> dict[str, Any]:
        return {"webhook_id": self.webhook.id}

    def identifier(self) -> str:
        identifier = super().identifier().lower()
        if not is_id(identifier):  # deliveries have no names to be found by
            raise missing(Delivery, identifier)
        return identifier

    def addressed(self) -> Any:
        return find(Delivery, self.identifier(), self.fixed())

    def retrieve(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Shows a delivery with what is sent and every attempt."""
        refuse_unknown(request.GET, [])
        shown = reader_of(DeliveryDetailsSerializer).one(self.identifier(), self.fixed())
        plan = plan_of(DeliveryAttemptSerializer)
        latest = DeliveryAttempt.objects.filter(delivery_id=shown["id"]).order_by("-number")[:MOST_ATTEMPTS]
        return self.json({"result": {**shown, "attempts": plan.encode(plan.rows(latest))[::-1]}})

    @action(detail=True, methods=["post"])
    def resend(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Sends a delivery again at once, whether it has got through or not.

        The receiver sees the same body and the same `webhook-id` as before. When it fails, it is tried again by the
        same schedule as a new one.
        """
        refuse_unknown(request.GET, [])
        enter_for_change(OrganizationWebhook)
        fixed = self.fixed()
        with transaction.atomic():
            # The webhook first, as wherever both are locked.
            refuse_disabled(find(OrganizationWebhook, self.kwargs["webhook_id"], lock=True))
            delivery: Delivery = find(Delivery, self.identifier(), fixed, lock=True)
            resend(delivery=delivery)
            content = {"result": self.reader.plan.encode_instance(delivery)}
            self.record(object_id=delivery.id, answer=content)
        return self.json(content)
